"""Build the documentation as a site: gather its pages, run the generator, check the result.

The site has the Markdown files of the repository at the same paths, and the files that they link to. So a link works
both in a checkout and on the site.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "build" / "pages"
SITE = ROOT / "site"

SOURCES = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "LICENSE"),
    "trichat/_base/unicode/LICENSE",
    *("docs/**/*.md", "docs/*.json", "docs/images/*", "benchmarks/*.md", "benchmarks/plots/*", "examples/*.py"),
]

# The elements that make a browser fetch something when it shows a page, by attribute. <a> does not.
FETCHING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
# A <link> with one of these relations fetches nothing.
NAMED_ONLY = {"canonical", "next", "prev"}


class Link(NamedTuple):
    """A reference in a page."""

    target: str
    is_fetched: bool


class Page(HTMLParser):
    """A page of the site: its references, and its anchors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.anchors = {""}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an anchor or a link."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(Link(values["href"], is_fetched=False))
        elif tag in FETCHING and FETCHING[tag] in values and values.get("rel") not in NAMED_ONLY:
            self.links.append(Link(values[FETCHING[tag]], is_fetched=True))


def gather(root: Path, pages: Path) -> None:
    """Copy the sources of the site from `root` to `pages`, after emptying `pages`."""
    shutil.rmtree(pages, ignore_errors=True)
    for pattern in SOURCES:
        for source in root.glob(pattern):
            copy = pages / source.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def faults(site: Path) -> Iterator[str]:
    """Yield the faults of a site: a sentence for each broken link, and for each file fetched from another host."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            place = f"{path.relative_to(site)}: {link.target}"
            parts = urlsplit(link.target)
            if parts.scheme or parts.netloc:
                if link.is_fetched and parts.scheme != "data":
                    yield f"{place} is fetched from another host"
                continue
            # Only the 404 page has absolute paths, because it may be shown at any depth.
            start = site if parts.path.startswith("/") else path.parent
            target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{place} does not exist"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{place}: the page has no such heading"


def main() -> int:
    """Build the site, and return the exit status."""
    gather(ROOT, PAGES)
    shutil.rmtree(SITE, ignore_errors=True)
    zensical = Path(sys.executable).with_name("zensical")
    built = subprocess.run([zensical, "build", "--strict", "--clean"], cwd=ROOT, check=False)
    if built.returncode != 0:
        return built.returncode
    found = list(faults(SITE))
    print(*found, f"{SITE.relative_to(ROOT)}: built, {len(found)} faults", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
