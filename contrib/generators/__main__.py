"""`python -m generators`: write the files, beside this package."""

from __future__ import annotations

from generators.files import FOLDER, render_files


def main() -> None:
    """Write what the parser gives now, and remove the man pages of verbs that are gone."""
    files = render_files()
    for stale in set(FOLDER.glob("man/*.1")) - {FOLDER / path for path in files}:
        stale.unlink()
    for path, text in files.items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
