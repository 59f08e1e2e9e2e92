import asyncio
import math
import time
import uuid

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client
from django.utils import translation

from passwordless_auth.channels import memory
from passwordless_auth.flows import pumping
from passwordless_auth.testing import outbox


@pytest.fixture(scope="session", autouse=True)
def quick_flush():
    """After a test with transactions of its own Django empties all tables. PostgreSQL takes a second to TRUNCATE some
    thirty, though they hold next to nothing, and milliseconds to DELETE."""
    if connection.vendor != "postgresql":
        yield
        return

    def sql_flush(_style, tables, **_options):
        return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection.ops, "sql_flush", sql_flush)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """A process that a test has killed, or a thread that is ending, may have its session for a moment yet: PostgreSQL
    drops no database in which there is one."""
    yield
    if connection.vendor != "postgresql":
        return
    # What asynchronous views do in the database they do in one thread of the process, which keeps its connection.
    with django_db_blocker.unblock():
        asyncio.run(sync_to_async(connections.close_all)())
    others = "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        end = time.monotonic() + 30
        while found := cursor.execute(others).fetchall():
            assert time.monotonic() < end, f"still in the database: {found}"
            time.sleep(0.1)


@pytest.fixture(autouse=True)
def clean_cache():
    cache.clear()


@pytest.fixture(autouse=True)
def clean_language():
    """A request leaves its language behind in the thread."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def no_text_messages_yet():
    memory.sent.clear()


@pytest.fixture
def sms(settings, monkeypatch):
    """Sign-in by phone, for three countries. Called, it sends what is queued, and returns every text message."""
    monkeypatch.setattr(pumping, "_looked_at", math.inf)  # statements are counted: the breaker looks when it is told
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["DE", "AT", "US"]
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        "email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"},
        "sms": {"BACKEND": "passwordless_auth.channels.memory.MemoryChannel"},
    }

    def texts():
        outbox.send_queued()
        return memory.sent

    return texts


@pytest.fixture
def clock(time_machine):
    """Time stands still, until ``clock.shift(seconds)``."""
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    return time_machine


@pytest.fixture
def browser():
    """A browser: keeps cookies and, as real ones do, meets CSRF protection."""
    return Browser()


@pytest.fixture
def other_browser():
    return Browser(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"


class Browser(Client):
    def __init__(self, **defaults):
        defaults.setdefault("HTTP_USER_AGENT", CHROME)
        super().__init__(enforce_csrf_checks=True, **defaults)

    def submit(self, path, data=None, **extra):
        """POST as a form of our pages does: with the CSRF token of the page."""
        if "csrftoken" not in self.cookies:
            self.get("/login/")
        data = {**(data or {}), "csrfmiddlewaretoken": self.cookies["csrftoken"].value}
        return self.post(path, data, **extra)

    def start(self, address="ada@example.com", **data):
        return self.submit("/login/", {"identifier": address, **data})

    def sign_in(self, address="ada@example.com", **data):
        response = self.start(address, **data)
        assert response.status_code == 303, response.content
        response = self.submit("/login/wait/", {"code": outbox.last_code(address)})
        assert response.status_code == 303, response.content
        return response

    def who(self):
        return self.get("/login/session.json").json()


@pytest.fixture
def in_redis(settings):
    """Limits are counted in Redis, under keys that no other test has seen."""
    settings.CACHES = {**settings.CACHES, "redis": {**settings.CACHES["redis"], "KEY_PREFIX": uuid.uuid4().hex}}
    settings.PASSWORDLESS_AUTH_LIMIT_STORE = "redis"
