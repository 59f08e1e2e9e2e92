"""The example is tried as it runs: in a process of its own, with its own settings and a SQLite file."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

MANAGE = Path(__file__).parents[2] / "example_project" / "manage.py"

#: Variables of the tests' own process that the example would take for its own.
OTHERS = re.compile(
    r"(ALLOWED|CACHE|CLIENT|COV|DATABASE|DEBUG|DEFAULT|DJANGO|EMAIL|INBOX|LOG|PASSWORDLESS_AUTH|SECRET|SECURE|SESSION|SITE"
    r"|TASKS|TIME_ZONE)"
)


def environment(**values):
    return {**{name: value for name, value in os.environ.items() if not OTHERS.match(name)}, **values}


@pytest.fixture
def clean_environment(monkeypatch):
    for name in os.environ:
        if OTHERS.match(name):
            monkeypatch.delenv(name)
    return monkeypatch


def manage(*arguments, cwd, **values):
    """Run a command of the example to its end. A deprecation is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(MANAGE), *arguments],
        cwd=cwd,
        env=environment(**values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Answer:
    def __init__(self, response):
        with response:
            self.status = response.status
            self.headers = response.headers
            self.url = response.url
            self.text = response.read().decode()

    def json(self):
        return json.loads(self.text)


class Visitor:
    """A browser without scripts: cookies, redirects, forms."""

    def __init__(self, url, language="en"):
        self.url = url
        self.cookies = CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies)).open
        self._headers = {"Accept-Language": language, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}

    def get(self, path, data=None):
        url = urllib.parse.urljoin(self.url, path)
        body = None if data is None else urllib.parse.urlencode(data).encode()
        try:
            return Answer(self._open(urllib.request.Request(url, body, self._headers), timeout=20))
        except urllib.error.HTTPError as error:
            return Answer(error)

    def post(self, path, cookie="csrftoken", **data):
        token = next(kept.value for kept in self.cookies if kept.name == cookie)
        return self.get(path, {**data, "csrfmiddlewaretoken": token})


class Site:
    """``manage.py demo`` as somebody runs it who has switched DEBUG off."""

    def __init__(self, folder):
        with socket.socket() as probe, socket.socket() as another:
            probe.bind(("127.0.0.1", 0))
            another.bind(("127.0.0.1", 0))
            self.port, self.client_port = probe.getsockname()[1], another.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self.client_url = f"http://localhost:{self.client_port}"
        self.folder = folder
        self.log = folder / "log"
        self.database = folder / "site.sqlite3"
        self.environment = {
            "DATABASE_URL": f"sqlite:///{self.database}",
            "DEBUG": "0",
            "SECRET_KEY": "tests-only-" + "x" * 40,
            "PASSWORDLESS_AUTH_SECRET_KEYS": "k1:the-key-of-the-example-tests-" + "a" * 20,
            "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS": "",
            "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER": "",
        }

    def start(self):
        command = [sys.executable, "-W", "error", str(MANAGE), "demo", "--port", str(self.port)]
        command += ["--client-port", str(self.client_port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # Deaf to Ctrl-C, as a shell starts what it starts in the background: the demo hears it all the same.
                ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command],
                cwd=self.folder,
                env=environment(**self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 60
        while "Ctrl-C" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()

    def manage(self, *arguments):
        return manage(*arguments, cwd=self.folder, **{**self.environment, "INBOX": "1", "CLIENT_URL": self.client_url})

    def visitor(self, language="en"):
        return Visitor(self.url, language)

    def messages(self, to):
        query = urllib.parse.urlencode({"to": to})
        return self.visitor().get(f"/inbox/messages.json?{query}").json()["messages"]

    def message(self, to, number=1):
        """The newest message to an address, once ``number`` have come."""
        end = time.monotonic() + 15
        while len(found := self.messages(to)) < number:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)
        return found[0]

    def sql(self, statement, rows=((),)):
        with closing(sqlite3.connect(self.database, timeout=20)) as connection, connection:
            return [found for row in rows for found in connection.execute(statement, row).fetchall()]

    def keep(self, count=1, **values):
        """Put messages into the inbox behind the site's back. Returns the id of the last one."""
        row = {"channel": "email", "recipient": "x@example.com", "subject": "", "text": "", "html": "", "code": ""}
        row |= {"link": "", "sent_at": "2026-01-01 00:00:00", **values}
        self.sql(
            f"INSERT INTO inbox_message ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            [tuple(row.values())] * count,
        )
        return self.sql("SELECT MAX(id) FROM inbox_message")[0][0]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("example"))
    running.start()
    yield running
    running.stop()
