"""The site that people visit: the running example in a process of its own, with a database file of its own."""

import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from django.core import signing

ROOT = Path(__file__).parents[2]

#: What the site is given beside its address and its database. Limits of one network are out of the way, since
#: everybody here comes from the same one; those of an address are as they are.
ENVIRONMENT = {
    "DEBUG": "0",
    "INBOX": "1",
    "SECRET_KEY": "browser-tests-only-" + "x" * 40,
    "PASSWORDLESS_AUTH_SECRET_KEYS": "k1:the-key-of-the-browser-tests-" + "b" * 20,
    "PASSWORDLESS_AUTH_SENDER": "thread",
    "PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP": "100000/h",
    "PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP": "100000/10m",
    "LOG_LEVEL": "WARNING",
}

#: Variables of the tests' own process that must not reach the site.
OTHERS = (
    "PASSWORDLESS_AUTH_",
    "CLIENT_URL",
    "DATABASE_",
    "DJANGO_",
    "CACHE_",
    "EMAIL_",
    "SECRET_",
    "SITE_",
    "SESSION_",
    "COV",
)

_numbers = itertools.count(1)

MANAGE = str(ROOT / "example_project" / "manage.py")


def address(name: str = "person", domain: str = "example.com") -> str:
    """An address that nobody has used before."""
    return f"{name}-{next(_numbers)}@{domain}"


def number() -> str:
    """A mobile phone number that nobody has used before."""
    return f"+4915123{next(_numbers):06}"


class Site:
    def __init__(self, folder: Path, *, database: Path | None = None, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = self.inside = f"http://localhost:{self.port}"
        self.database = database or folder / "site.sqlite3"
        self.log = folder / f"site-{self.port}.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(OTHERS)},
            **ENVIRONMENT,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "SITE_URL": self.url,
            **environment,
        }

    def command(self) -> list[str]:
        return [sys.executable, MANAGE, "demo", "--port", str(self.port), "--client-port", "0"]

    def manage(self, *arguments: str) -> None:
        """Run a command of the site's, beside it."""
        subprocess.run([sys.executable, MANAGE, *arguments], env=self.environment, check=True, capture_output=True)

    def read(self, path: str) -> bytes:
        """What the site answers to somebody who sits beside it."""
        with urllib.request.urlopen(f"{self.inside}{path}", timeout=10) as response:
            return response.read()

    def __enter__(self) -> "Site":
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise AssertionError(f"The example does not start:\n{self.log.read_text()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

    def _answers(self) -> bool:
        try:
            return bool(self.read("/login/session.json"))
        except OSError:
            return False

    # -- its mail

    def messages(self, to: str) -> list[dict[str, str]]:
        return json.loads(self.read(f"/inbox/messages.json?{urlencode({'to': to})}"))["messages"]

    def message(self, to: str, number: int = 1, *, about: str = "") -> dict[str, str]:
        """The newest message to an address, once ``number`` of them have come; ``about``: of those whose subject
        says this."""
        end = time.monotonic() + 15
        while len(found := [each for each in self.messages(to) if about in each["subject"]]) < number:
            assert time.monotonic() < end, f"{len(found)} of {number} messages to {to}\n{self.log.read_text()}"
            time.sleep(0.05)
        return found[0]

    # -- its rows, changed behind its back to bring about what would take too long or need a broken mail server

    def sql(self, statement: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.database, timeout=20)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def change_challenge(self, to: str, **columns: object) -> str:
        """Change the newest challenge of an address. Returns its public id."""
        ((pk, public_id),) = self.sql(
            "SELECT id, public_id FROM passwordless_auth_challenge WHERE canonical = ? ORDER BY id DESC LIMIT 1", to
        )
        for name, value in columns.items():
            self.sql(f"UPDATE passwordless_auth_challenge SET {name} = ? WHERE id = ?", value, pk)
        return public_id

    def expire(self, to: str) -> None:
        past = "2026-01-01 00:00:00"
        self.change_challenge(to, code_expires_at=past, link_expires_at=past, expires_at=past)

    def set_delivery(self, to: str, state: str) -> None:
        """Say how the newest message to an address is; nobody sends it."""
        self.sql(
            "UPDATE passwordless_auth_delivery SET state = ?, available_at = '2099-01-01 00:00:00' "
            "WHERE id = (SELECT MAX(id) FROM passwordless_auth_delivery WHERE canonical = ?)",
            state,
            to,
        )

    def delay(self, to: str) -> None:
        """Let the newest message to an address be on its way for long."""
        self.sql("UPDATE passwordless_auth_delivery SET created_at = '2026-01-01 00:00:00' WHERE canonical = ?", to)

    def mark(self, address: str) -> None:
        """Say that earlier messages to this address came back."""
        self.sql(
            "INSERT INTO passwordless_auth_addressmark (canonical, reason, provider, detail, marked_at) "
            "VALUES (?, 'bounced', 'Postmark', 'bounced 550 5.1.1', '2026-01-01 00:00:00')",
            address,
        )

    def age_session(self, key: str, seconds: int) -> None:
        """Let a session have begun, and have been confirmed, so much earlier."""
        signed = {"key": self.environment["SECRET_KEY"], "salt": "django.contrib.sessions.SessionStore"}
        ((data,),) = self.sql("SELECT session_data FROM django_session WHERE session_key = ?", key)
        content = signing.loads(data, **signed)
        for moment in ("created_at", "until", "auth_time", "strong_time", "phr_time"):
            content["_passwordless_auth"][moment] -= seconds
        data = signing.dumps(content, compress=True, **signed)
        self.sql("UPDATE django_session SET session_data = ? WHERE session_key = ?", data, key)

    def forget_limits(self) -> None:
        self.sql("DELETE FROM passwordless_auth_counter")

    def newest_user(self) -> str:
        """The address of whoever signed up last."""
        return self.sql("SELECT email FROM auth_user ORDER BY id DESC LIMIT 1")[0][0]

    def delete_identity(self, of: str) -> None:
        self.sql("UPDATE passwordless_auth_challenge SET identity_id = NULL WHERE canonical = ?", of)
        self.sql("DELETE FROM passwordless_auth_identity WHERE canonical = ?", of)
