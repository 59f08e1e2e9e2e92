"""A person with an authenticator app, at the front door."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

from django.utils import timezone
from django_otp.oath import hotp

from passwordless_auth.testing import outbox, totp_code

from .views.pages import Page

ADA = "ada@example.com"


def code_of(key, *, later=0):
    """What an app shows that was given this key (base32, spaces as people type them), ``later`` seconds from now."""
    secret = base64.b32decode(key.replace(" ", ""))
    return f"{hotp(secret, int(timezone.now().timestamp() + later) // 30, 6):06}"


def another(code):
    """A code that the app does not show."""
    return f"{(int(code) + 1) % 10**6:06}"


def key_on(page):
    """The key that a page shows, as an app reads it from the link beside the QR code."""
    return parse_qs(urlsplit(page.links["Open an app on this device"]).query)["secret"][0]


def set_up(browser):
    """From the page of the account to a confirmed app. Returns its key, and the page that follows."""
    page = Page(browser.submit("/account/totp/", {"action": "begin"}))
    key = key_on(page)
    return key, page.press(browser, "Turn it on", code=code_of(key))


def with_app(browser, address=ADA):
    """Sign in by code and set an app up. Returns its key."""
    browser.sign_in(address)
    key, page = set_up(browser)
    assert page.response.redirect_chain == [("/account/totp/?notice=added", 303)], page.words
    return key


def first_step(browser, address=ADA, **fields):
    """The code of a message. Returns where it leads: to the second step."""
    assert browser.start(address, **fields).status_code == 303
    response = browser.submit("/login/wait/", {"code": outbox.last_code(address)})
    assert response.status_code == 303
    return response["Location"]


def answer(browser, url, code):
    """Type a code on the step-up page behind ``url``."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    return browser.submit("/login/step-up/", {**query, "action": "totp", "code": code})


def sign_in_with_app(browser, app, address=ADA):
    """Both steps. ``app``: the row of the app."""
    response = answer(browser, first_step(browser, address), totp_code(app))
    assert (response.status_code, response["Location"]) == (303, "/account/"), response.content
    return response
