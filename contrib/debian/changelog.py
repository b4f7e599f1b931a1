"""Print the changelog that Debian's tools want: of one entry, for the version that the package has now."""

from __future__ import annotations

from email.utils import formatdate

from accountd import __version__

print(f"""accountd ({__version__}) unstable; urgency=medium

  * What has changed is in /usr/share/doc/accountd/changelog.gz.

 -- accountd maintainers <maintainers@accountd.example>  {formatdate()}""")
