"""A browser that calls the WSGI application in its own process: no socket, and nothing of it is measured."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from .meter import meter

HOST = "example.com"
ORIGIN = f"https://{HOST}"
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """One person's browser, new to the site. It has seen a page with a form, so it holds a CSRF token."""

    def __init__(self, application: Callable[..., Any], *, ip: str) -> None:
        self.application = application
        self.ip = ip
        self.token = "Tk" * 16  # Django compares cookie and field; who made the token does not matter to it
        self.cookies = {"csrftoken": self.token}

    def get(self, url: str, *, expect: int | tuple[int, ...], **headers: str) -> Response:
        return self._ask("GET", url, expect=expect, headers=headers)

    def submit(self, url: str, fields: dict[str, str], *, expect: int) -> Response:
        """A form of a page of the site."""
        body = urlencode({**fields, "csrfmiddlewaretoken": self.cookies["csrftoken"]}).encode()
        return self._ask("POST", url, body, "application/x-www-form-urlencoded", expect=expect)

    def send_form(self, url: str, fields: dict[str, str], *, expect: int = 200) -> Response:
        """A form from elsewhere, as the server of an OAuth client sends it."""
        return self._ask("POST", url, urlencode(fields).encode(), "application/x-www-form-urlencoded", expect=expect)

    def send(self, url: str, content: Any, *, expect: int = 200) -> Response:
        """JSON, as a script of a page of the site sends it."""
        token = {"X-CSRFToken": self.cookies["csrftoken"]}
        return self._ask("POST", url, json.dumps(content).encode(), "application/json", expect=expect, headers=token)

    def _ask(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        content_type: str = "",
        *,
        expect: int | tuple[int, ...],
        headers: dict[str, str] | None = None,
    ) -> Response:
        path, _mark, query = url.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SCRIPT_NAME": "",
            "SERVER_NAME": HOST,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.ip,
            "HTTP_HOST": HOST,
            "HTTP_USER_AGENT": AGENT,
            "HTTP_ACCEPT_LANGUAGE": "en",
            "HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if method == "POST":
            environ |= {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body)), "HTTP_ORIGIN": ORIGIN}
        for name, value in (headers or {}).items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value

        begun: list[Any] = []
        with meter.request():
            parts = self.application(environ, lambda status, headers, _error=None: begun.extend([status, headers]))
            answer = b"".join(parts)
            parts.close()  # Django's request is over only now

        response = Response(int(begun[0].split()[0]), dict(begun[1]), answer)
        for name, value in begun[1]:
            if name == "Set-Cookie":
                self._keep(value)
        if response.status not in (expect if isinstance(expect, tuple) else (expect,)):
            raise UnexpectedAnswerError(f"{method} {path}: {response.status}, not {expect}: {answer[:500]!r}")
        return response

    def _keep(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.coded_value


class UnexpectedAnswerError(Exception):
    """A contestant did not do what the benchmark asks of it."""
