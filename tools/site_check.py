"""What is wrong with a folder of pages: links that lead nowhere, calls to other hosts, pictures without words, private paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LOADING = {"src", "srcset", "data", "poster", "action", "background"}  # attributes that make a browser fetch something
FETCHED_BY_CSS = re.compile(r"@import|url\(\s*['\"]?(?!data:|#)", re.IGNORECASE)
OUTSIDE = re.compile(r"(?!data:)[a-z][a-z+.-]*:|//", re.IGNORECASE)  # what is no relative link


class PageReader(HTMLParser):
    """Collects a page's anchors, its links, and what is wrong in the page itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.faults: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:  # noqa: D102
        given = {name: value or "" for name, value in attributes}
        self._in_style = tag == "style"
        if given.get("id") in self.anchors:
            self.faults.append(f"two elements have the id {given['id']}")
        self.anchors |= {given["id"]} if "id" in given else set()
        if tag == "img" and not given.get("alt"):
            self.faults.append("an <img> without alt text")
        if FETCHED_BY_CSS.search(given.get("style", "")):
            self.faults.append(f"a style that fetches something: {given['style'][:80]}")
        for name, value in given.items():
            loads = name in LOADING or (name == "href" and tag not in {"a", "area"})
            if loads and OUTSIDE.match(value):
                self.faults.append(f"<{tag} {name}> fetches {value[:80]}")
            elif name in {"href", "src"} and not OUTSIDE.match(value) and not value.startswith("data:"):
                self.links.append(value)

    def handle_data(self, data: str) -> None:  # noqa: D102
        if self._in_style and FETCHED_BY_CSS.search(data):
            self.faults.append("a style sheet that fetches something")

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        self._in_style = False


def find_faults(folder: Path, private: list[str]) -> Iterator[str]:
    """One line for each fault of the pages in a folder. ``private``: texts that must not be in them, such as a home folder."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}
    pages = {name: PageReader(text) for name, text in texts.items()}
    for name, page in pages.items():
        yield from (f"{name}: {fault}" for fault in page.faults)
        yield from (f"{name}: {place} is a place on this machine" for place in private if place in texts[name])
        for link in page.links:
            target, _, anchor = link.partition("#")
            target = unquote(target) or name
            if not (folder / target).is_file():
                yield f"{name}: a link to {link}, which is not there"
            elif anchor and target in pages and unquote(anchor) not in {unquote(known) for known in pages[target].anchors}:
                yield f"{name}: a link to {link}; {target} has no such anchor"
