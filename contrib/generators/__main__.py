"""`python -m generators`: write the files, and the diagram in docs/login.md."""

from __future__ import annotations

from generators.diagram import PAGE, draw
from generators.files import ROOT, render_files


def main() -> None:
    """Write what the parser and the table of moves give now, and remove the man pages of verbs that are gone."""
    files = render_files()
    for stale in set(ROOT.glob("contrib/man/*.1")) - {ROOT / path for path in files}:
        stale.unlink()
    for path, text in files.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    PAGE.write_text(draw(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
