"""What a person would take from a message: the code and the link."""

import re
from html.parser import HTMLParser

#: The code alone on its line: digits, or the twenty letters that can't be confused, perhaps in groups.
CODE_LINE = re.compile(r"[ \t]*((?:\d+|[BCDFGHJKLMNPQRSTVWXZ]+)(?:[ -](?:\d+|[BCDFGHJKLMNPQRSTVWXZ]+))*)[ \t]*")
LINK = re.compile(r"https?://[^\s\"'<>]+/login/(?:link|report)/[^\s\"'<>]+")
#: Elements that have no end tag.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def code_in(text: str, html: str) -> str | None:
    """The code without grouping: from the element with class "code", or else from the text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    marked = "".join(character for character in reader.code if character.isalnum())
    if marked:
        return marked
    for line in text.splitlines():
        match = CODE_LINE.fullmatch(line)
        if match:
            code = re.sub(r"[ -]", "", match[1])
            if len(code) >= 4:
                return code
    return None


def link_in(text: str, html: str) -> str | None:
    """The magic link, or "this wasn't me": from the text, or else from the HTML part."""
    found = LINK.search(text)
    if found:
        return found[0]
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return next((link for link in reader.links if LINK.fullmatch(link)), None)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.code = ""
        self.links: list[str] = []
        self._depth = 0  # how many elements are open, counted from the one with the code

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "a" and attributes.get("href"):
            self.links.append(str(attributes["href"]))
        if tag in VOID:
            return
        if self._depth:
            self._depth += 1
        elif not self.code and "code" in (attributes.get("class") or "").split():
            self._depth = 1

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag not in VOID:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.code += data
