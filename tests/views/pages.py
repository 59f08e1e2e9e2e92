"""A page as a person without JavaScript meets it: words to read, links to follow, forms to send."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "hr", "br", "img", "path", "circle", "source"}
INLINE = {"a", "bdi", "span", "strong", "svg", "time"}
UNSEEN = {"head", "noscript", "script"}


@dataclass
class Form:
    action: str
    method: str
    fields: dict = field(default_factory=dict)
    buttons: dict = field(default_factory=dict)


class Page(HTMLParser):
    """Reads a response. ``name`` and ``code`` are the hooks of its body."""

    def __init__(self, response):
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.name = self.code = self.language = ""
        self.forms, self.links, self.inputs, self.next_steps, self.sent = [], {}, {}, [], []
        self._words, self._open, self._label, self._hidden = [], [], None, 0
        self.html = response.content.decode()
        self.feed(self.html)
        self.sentences = {" ".join(piece.split()) for piece in self._words if " " in piece.strip()}
        self.words = " ".join("".join(self._words).split())
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "html":
            self.language = attrs["lang"]
        elif tag == "body":
            self.name, self.code = attrs["data-page"], attrs.get("data-code", "")
        elif tag == "form":
            self.forms.append(Form(attrs["action"], attrs.get("method", "get")))
        elif tag == "input":
            self.inputs[attrs.get("name") or attrs["id"]] = attrs  # without a name it is only there to be read
            self.sent.append((attrs.get("name"), attrs.get("value", "")))
            if self.forms and "name" in attrs:
                self.forms[-1].fields[attrs["name"]] = attrs.get("value", "")
        if tag in {"a", "button"}:
            self._label = (tag, attrs, [])
        if tag not in INLINE:
            self._words.append(" ")
        if tag not in VOID:
            unseen = tag in UNSEEN or attrs.get("aria-hidden") == "true" or "hidden" in attrs
            self._open.append((tag, unseen))
            self._hidden += unseen

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        opened, unseen = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        self._hidden -= unseen
        if tag in {"a", "button"}:
            _tag, attrs, words = self._label
            text, self._label = " ".join("".join(words).split()), None
            if not self._hidden:
                self.next_steps.append(text)
            if tag == "a":
                self.links[text] = attrs["href"]
            elif ("form", False) in self._open:
                self.forms[-1].buttons[text] = (attrs.get("name"), attrs.get("value", ""))

    def handle_data(self, data):
        if not self._hidden:
            self._words.append(data)
            if self._label:
                self._label[2].append(data)

    def form(self, label):
        return next(form for form in self.forms if label in form.buttons)

    def press(self, browser, label, **typed):
        """Follow the link, or send the form, with this label; and go where it leads."""
        if label in self.links:
            return Page(browser.get(self.links[label], follow=True))
        form = self.form(label)
        name, value = form.buttons[label]
        data = {**form.fields, **({name: value} if name else {}), **typed}
        send = browser.post if form.method == "post" else browser.get
        return Page(send(form.action, data, follow=True))


def visit(browser, path, **extra):
    return Page(browser.get(path, follow=True, **extra))
