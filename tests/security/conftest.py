"""Words that the security checks share. The checks themselves go through the front door: pages, cookies, mails."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection
from django.utils import timezone

from passwordless_auth.models import Challenge, Identity
from tests.conftest import Browser

User = get_user_model()

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def clock():
    """Time stands still, and moves when a test says so. It begins with the true time: files know no other."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


def stranger(ip="203.0.113.9"):
    """A browser that nobody knows, at an IP address of its own."""
    return Browser(REMOTE_ADDR=ip, HTTP_USER_AGENT=FIREFOX)


def copy_of(browser):
    """Somebody else has this browser's cookies."""
    thief = Browser(HTTP_USER_AGENT=FIREFOX)
    thief.cookies.load({name: morsel.value for name, morsel in browser.cookies.items()})
    return thief


def newest(address="ada@example.com"):
    return Challenge.objects.filter(canonical=address).latest("pk")


def wrong_code(address="ada@example.com", number=1):
    """A code that is certainly not the right one."""
    right = newest(address).code()
    return f"{(int(right) + number) % 10 ** len(right):0{len(right)}}"


def guess(browser, code, address="ada@example.com", **data):
    return browser.submit("/login/wait/", {"code": code, "challenge": newest(address).public_id, **data})


def link_of(address="ada@example.com"):
    """The path of the newest link, as it stands in the mail."""
    return f"/login/link/{newest(address).link_token()}/"


def open_link(browser, address="ada@example.com"):
    """Follow the link of the mail: to the page behind it."""
    response = browser.get(link_of(address), follow=False)
    assert response.status_code == 303, response.content
    return browser.get(response["Location"])


def press(browser, address="ada@example.com", action="sign_in", **data):
    """Press a button on the page behind a link."""
    return browser.submit(
        "/login/link/", {"challenge": newest(address).public_id, "action": action, "identifier": address, **data}
    )


def error_code(response):
    found = re.search(r'<body[^>]* data-code="(\w+)"', response.content.decode())
    return found[1] if found else ""


def page(response):
    found = re.search(r'<body[^>]* data-page="(\w+)"', response.content.decode())
    return found[1] if found else ""


def messages_to(address):
    return [message for message in mail.outbox if address in message.to]


def member(address="ada@example.com", *, active=True, **fields):
    """A person who signed up some time ago, in a browser that is not part of the test."""
    user = User(username=f"user-{address.partition('@')[0]}", email=address, is_active=active, **fields)
    user.set_unusable_password()
    user._passwordless_auth_origin = "sign_up"
    user.save()
    del user._passwordless_auth_origin
    Identity.objects.create(
        user=user,
        kind="email",
        canonical=address,
        is_primary=True,
        origin=Identity.Origin.SIGN_UP,
        proven_at=timezone.now(),
    )
    return user


@contextmanager
def statements():
    """The text of each statement, placeholders instead of values: two requests that do the same work list the same."""
    seen = []

    def note(execute, sql, params, many, context):
        seen.append(re.sub(r"\bs\d+_x\d+\b", "SAVEPOINT", sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield seen
