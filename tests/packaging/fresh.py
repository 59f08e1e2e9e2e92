"""An empty project in an environment of its own, and a person at a browser in front of it."""

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.rst"


def block(name: str, page: Path = README) -> str:
    """The code block of a page that has this name."""
    start = rf"^\.\. code-block:: \w+\n   :name: {name}\n\n((?:(?:   .*)?\n)+)"
    found = re.search(start, page.read_text(), re.MULTILINE)
    assert found, f"{page.name} has no code block named {name}"
    return "".join(line.removeprefix("   ") for line in found[1].splitlines(keepends=True)).rstrip("\n") + "\n"


class Forms(HTMLParser):
    """The forms of a page: action and fields, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((named.get("action", ""), {}))
            self._open = True
        elif tag == "input" and self._open and "name" in named:
            self.forms[-1][1][named["name"]] = named.get("value", "")

    def handle_endtag(self, tag):
        if tag == "form":
            self._open = False

    def with_field(self, name: str) -> tuple[str, dict[str, str]]:
        return next(form for form in self.forms if name in form[1])


class Browser:
    def __init__(self, base: str) -> None:
        self.url = base
        self.page = ""
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def open(self, url: str, data: dict[str, str] | None = None) -> str:
        body = urllib.parse.urlencode(data).encode() if data is not None else None
        try:
            with self._opener.open(urllib.parse.urljoin(self.url, url), data=body, timeout=30) as answer:
                self.url, self.page = answer.url, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            pytest.fail(f"{refusal.code} at {refusal.url}: {refusal.read().decode()[:2000]}")
        return self.page

    def submit(self, **typed: str) -> str:
        """Fill in the form that has these fields, and send it."""
        action, fields = Forms(self.page).with_field(next(iter(typed)))
        return self.open(action or self.url, fields | typed)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTHON", "COV"))}


def run(python: Path, *args: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [python, *args], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(python: Path, project: Path, port: int | None = None):
    """The development server. Yields its address and the file that its console goes to."""
    port, console = port or free_port(), project / "console.txt"
    with console.open("w") as output:
        server = subprocess.Popen(
            [python, "-u", "manage.py", "runserver", "--noreload", f"localhost:{port}"],
            cwd=project,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: listens(port) or server.poll() is not None, console)
            assert server.poll() is None, console.read_text()
            yield f"http://localhost:{port}/", console
        finally:
            server.terminate()
            server.wait(timeout=30)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(found, console: Path):
    for _ in range(300):
        if result := found():
            return result
        time.sleep(0.1)
    pytest.fail(f"waited in vain; the console says:\n{console.read_text()}")
