"""A person who keeps house with their addresses, at the front door."""

from __future__ import annotations

import re

from django.core import mail

from passwordless_auth.models import Challenge, Identity
from passwordless_auth.testing import outbox
from tests.views.pages import Page, visit

PAGE = "/account/identities/"
REPORT = "/login/report/"


def asks_to_add(browser, address):
    """Send the form. Returns the response, which leads to the waiting page."""
    return browser.submit(PAGE, {"action": "add", "identifier": address})


def proves(browser, address):
    """Type the code that was sent to an address that is being added. Returns the response."""
    challenge = Challenge.objects.filter(canonical=address, purpose="add_identity").latest("pk")
    return browser.submit("/login/wait/", {"challenge": challenge.public_id, "code": outbox.last_code(address)})


def adds(browser, address):
    """From the form to the page that follows the code."""
    response = asks_to_add(browser, address)
    assert (response.status_code, response["Location"].split("?")[0]) == (303, "/login/wait/"), response.content
    response = proves(browser, address)
    assert response.status_code == 303, response.content
    return visit(browser, response["Location"])


def identity(address):
    return Identity.objects.get(canonical=address)


def change(browser, address, action, **fields):
    """Press a button of the page of one address. Returns the page that follows."""
    data = {"action": action, "identity": identity(address).public_id, **fields}
    return Page(browser.submit(PAGE, data, follow=True))


def links(browser):
    """Press "Link the accounts" on the page."""
    return visit(browser, PAGE).press(browser, "Link the accounts")


def notices(subject):
    """The newest mail with this subject to each address that got one."""
    outbox.send_queued()
    return {to: message for message in mail.outbox if subject in message.subject for to in message.to}


def reports(browser, message):
    """Open the link "this wasn't me" of a notice, and press the button. Returns the page that follows."""
    link = re.search(r"^http://testserver(/login/report/\S+)$", message.body, re.M)[1]
    page = visit(browser, link)
    assert (page.status, page.name) == (200, "report"), page.words
    response = browser.submit(REPORT, page.forms[0].fields)
    assert response.status_code == 303, response.content
    return Page(browser.get(response["Location"]))


def says_link(message):
    return "/login/report/" in message.body
