"""A person who has prepared for the day when a device is lost, at the front door."""

from __future__ import annotations

import re

from passwordless_auth.testing import outbox


def codes_on(response):
    """The recovery codes that a page shows."""
    return re.findall(r"<code data-code>([^<]*)</code>", response.content.decode())


def make_codes(browser):
    """Press "make recovery codes". Returns the codes."""
    response = browser.submit("/account/recovery-codes/", {"action": "make"})
    assert response.status_code == 200, response.content
    codes = codes_on(response)
    assert codes
    return codes


def recover(browser, code, address="ada@example.com", **fields):
    """Send an address and a recovery code."""
    return browser.submit("/login/recovery/", {"identifier": address, "code": code, **fields})


def ask_address(browser, address="ada@example.com", **fields):
    """Ask for a message that recovers the account."""
    return browser.submit("/login/recovery/", {"identifier": address, "action": "send", **fields})


def recover_by_address(browser, address="ada@example.com", **fields):
    """Recover by the code of a message. Returns the last response."""
    response = ask_address(browser, address, **fields)
    assert response.status_code == 303, response.content
    return browser.submit("/login/wait/", {"code": outbox.last_code(address)})
