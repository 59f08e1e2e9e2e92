"""A person at a browser that runs no scripts: cookies, redirects, forms. It goes no further than the provider, and the
sites that it was told of: where an answer goes elsewhere, it stops and hands over what it was to bring there."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from urllib.request import Request

from .provider import Provider, Response

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    #: Name and value of each button.
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.url = url
        self.body: dict[str, str | None] = {}
        self.language = ""
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "html":
            self.language = attributes.get("lang") or ""
        elif tag == "body":
            self.body = attributes
        elif tag == "a" and attributes.get("href"):
            self.links.append(urljoin(self.url, attributes["href"]))
        elif tag == "form":
            action = urljoin(self.url, attributes.get("action") or "")
            self.forms.append(Form(action, (attributes.get("method") or "get").upper()))
            self._is_open = True
        elif self._is_open and tag == "input" and attributes.get("name"):
            if attributes.get("type") not in {"checkbox", "radio"} or "checked" in attributes:
                self.forms[-1].fields[attributes["name"]] = attributes.get("value") or ""
        elif self._is_open and tag == "button" and attributes.get("name"):
            self.forms[-1].buttons.append((attributes["name"], attributes.get("value") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False


class Page:
    """What a person sees. ``name`` and ``code``: the hooks of our pages, "" on others."""

    def __init__(self, response: Response) -> None:
        self.url = response.url
        self.status = response.status
        self.headers = response.headers
        self.text = response.text
        reader = _Reader(response.url)
        reader.feed(response.text)
        reader.close()
        self.name = reader.body.get("data-page") or ""
        self.code = reader.body.get("data-code") or ""
        self.language = reader.language
        self.forms = reader.forms
        self.links = reader.links

    def json(self) -> dict[str, Any]:
        return json.loads(self.text)

    def form(self, path: str = "", *, button: tuple[str, str] | None = None) -> Form:
        """The form that goes to this path, or has this button."""
        found = [
            form
            for form in self.forms
            if (not path or urlsplit(form.action).path == path) and (button is None or button in form.buttons)
        ]
        assert found, f"no such form: {path} {button}\n{self.text}"
        return found[0]


@dataclass(frozen=True)
class Landing:
    """What a browser brings to a client. ``uri`` is where to, without what was added for the answer; ``via`` is how:
    ``query``, ``fragment`` or ``form_post``."""

    uri: str
    via: str
    params: dict[str, str]

    @property
    def url(self) -> str:
        """As it stands in the address bar."""
        return f"{self.uri}{'#' if self.via == 'fragment' else '?'}{urlencode(self.params)}"


class Agent:
    """``address``: of the person, who does what the pages ask for (``does_all``), or looks at each. ``sites``: of
    clients, where the person goes, too."""

    def __init__(self, provider: Provider, address: str = "ada@example.com", *, sites: Sequence[str] = ()) -> None:
        self.provider = provider
        self.known = {provider.url, *sites}
        self.address = address
        self.cookies = CookieJar(DefaultCookiePolicy(strict_ns_set_path=True))
        #: The names of the pages that were shown, in order.
        self.seen: list[str] = []
        #: The origin of the page on screen.
        self.here = provider.url

    # -- what a browser does

    def open(self, url: str, fields: dict[str, str] | None = None) -> Page | Landing:
        """A GET, or a POST of ``fields``, and whatever it leads to."""
        for _ in range(20):
            response = self._request(url, fields)
            if response.status not in {301, 302, 303, 307}:
                return self._shown(response)
            if response.status != 307:
                fields = None
            url = urljoin(url, response.headers["Location"])
            if _origin(url) not in self.known:
                return _landing(url)
        raise AssertionError(f"redirects without an end: {url}")

    def submit(self, form: Form, **fields: str) -> Page | Landing:
        filled = {**form.fields, **fields}
        if form.method == "GET":
            return self.open(f"{form.action.partition('?')[0]}?{urlencode(filled)}")
        return self.open(form.action, filled)

    def _request(self, url: str, fields: dict[str, str] | None) -> Response:
        url = url.partition("#")[0]
        body = None if fields is None else urlencode(fields).encode()
        request = Request(url, headers={"User-Agent": AGENT, "Accept-Language": "en", "Accept": "text/html"})
        if body is not None:
            request.add_header("Content-Type", "application/x-www-form-urlencoded")
            request.add_header("Origin", self.here)
        self.cookies.add_cookie_header(request)
        send = self.provider.request if _origin(url) == self.provider.url else _send
        response = send("GET" if body is None else "POST", url, body, dict(request.header_items()))
        self.cookies.extract_cookies(_Headers(response), request)
        return response

    def _shown(self, response: Response) -> Page | Landing:
        page = Page(response)
        self.here = _origin(page.url)
        elsewhere = [form for form in page.forms if _origin(form.action) != _origin(page.url)]
        if elsewhere:
            # OAuth 2.0 Form Post Response Mode: one form, by POST, that is not kept anywhere.
            (form,) = page.forms
            assert response.status == 200
            assert form.method == "POST"
            assert "no-store" in response.headers["Cache-Control"]
            if _origin(form.action) in self.known:
                return self.submit(form)
            return Landing(form.action, "form_post", form.fields)
        self.seen.append(page.name)
        return page

    # -- what a person does

    def does_all(self, page: Page | Landing) -> Page | Landing:
        """Sign in, confirm and allow for as long as one of these is asked for."""
        does = {"login": self.signs_in, "wait": self.types_code, "step_up": self.confirms, "consent": self.allows}
        while isinstance(page, Page) and page.status == 200 and page.name in does:
            page = does[page.name](page)
        return page

    def signs_in(self, page: Page) -> Page | Landing:
        return self.submit(page.form("/login/"), identifier=self.address)

    def confirms(self, page: Page) -> Page | Landing:
        return self.submit(page.form("/login/step-up/", button=("action", "message")), action="message")

    def types_code(self, page: Page) -> Page | Landing:
        return self.submit(page.form("/login/wait/"), code=self.provider.inbox(self.address)[0]["code"])

    def allows(self, page: Page) -> Page | Landing:
        return self.presses(page, "allow")

    def presses(self, page: Page, name: str) -> Page | Landing:
        """The button of this name, which is what its form is about."""
        (pressed,) = {button for form in page.forms for button in form.buttons if button[0] == name}
        return self.submit(page.form(button=pressed), **dict([pressed]))

    def is_signed_in(self) -> bool:
        return '"authenticated": true' in self._request(f"{self.provider.url}/login/session.json", None).text


class _Headers:
    """What a CookieJar wants to be given."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def info(self) -> object:
        return self._response.headers


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _send(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Response:
    """A request to a client's site, as plain as it is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("localhost", parts.port, timeout=60)
    try:
        connection.request(method, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, headers)
        return Response(url, connection.getresponse())
    finally:
        connection.close()


def _landing(url: str) -> Landing:
    parts = urlsplit(url)
    bare = parts._replace(fragment="").geturl()
    if parts.fragment:
        return Landing(bare, "fragment", _once(parts.fragment))
    return Landing(parts._replace(query="").geturl(), "query", _once(parts.query))


def _once(encoded: str) -> dict[str, str]:
    pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded))
    assert len(dict(pairs)) == len(pairs), f"twice: {encoded}"
    return dict(pairs)
