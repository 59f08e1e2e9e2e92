"""The README kept to the letter: an empty Django project, the built wheel, six lines, and a person signs in."""

import email
import email.policy
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

pytestmark = [pytest.mark.package, pytest.mark.slow]

README = (Path(__file__).parents[2] / "README.rst").read_text()
PERSON = "ada@example.com"


def block(name: str) -> str:
    """The code block of the README that has this name."""
    found = re.search(rf"^\.\. code-block:: \w+\n   :name: {name}\n\n((?:   .*\n)+)", README, re.MULTILINE)
    assert found, f"README.rst has no code block named {name}"
    return "".join(line.removeprefix("   ") for line in found[1].splitlines(keepends=True))


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


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of a new virtual environment with the built wheel and what it asks for, nothing else."""
    home = tmp_path_factory.mktemp("fresh")
    (wheel,) = Path(os.environ["PASSWORDLESS_AUTH_DIST"]).glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True, timeout=300)
    python = home / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, timeout=600)
    return python


@pytest.fixture(scope="module")
def project(python, tmp_path_factory) -> Path:
    """``django-admin startproject`` plus the six lines."""
    home = tmp_path_factory.mktemp("project")
    run(python, "-m", "django", "startproject", "mysite", home)
    settings, urls = home / "mysite" / "settings.py", home / "mysite" / "urls.py"
    six_lines = block("settings").splitlines() + block("urls").splitlines()
    assert len(six_lines) == 6

    console = "" if "MAILERS" in settings.read_text() else block("console")
    settings.write_text(settings.read_text() + block("settings") + console)
    with_include = urls.read_text().replace("from django.urls import path", "from django.urls import include, path")
    assert with_include != urls.read_text()
    urls.write_text(with_include + block("urls"))
    return home


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
def served(python: Path, project: Path):
    """The development server. Yields its address and the file that its console goes to."""
    port, console = free_port(), project / "console.txt"
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


def text_of_message(console: Path) -> str | None:
    """The plain part of the first message that the console e-mail backend has printed whole."""
    found = re.search(r"^Content-Type: multipart/.*?(?=^-{79}$)", console.read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        return None
    message = email.message_from_string(found[0], policy=email.policy.default)
    assert message["To"] == PERSON
    return message.get_body(("plain",)).get_content()


def test_six_lines_make_a_sound_project(python, project):
    assert "no issues" in run(python, "manage.py", "check", cwd=project)
    assert "No changes" in run(python, "manage.py", "makemigrations", "--check", cwd=project)


def test_a_person_signs_in_to_an_empty_project(python, project):
    run(python, "manage.py", "migrate", "--verbosity", "0", cwd=project)
    with served(python, project) as (base, console):
        browser = Browser(base)
        browser.open("/login/")
        browser.submit(identifier=PERSON)
        text = wait_for(lambda: text_of_message(console), console)
        code = re.search(r"^[\d ]{6,}$", text, re.MULTILINE)
        assert code, text
        browser.submit(code=code[0])
        session = json.loads(browser.open("/login/session.json"))

    assert session["authenticated"] is True
    assert session["user"]["email"] == PERSON
    assert session["level"] == "single"
