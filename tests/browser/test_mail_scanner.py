"""Between the mailbox and the person stands a program that opens links, runs scripts and presses buttons."""

from urllib.parse import urljoin, urlsplit

import pytest

from .people import Person
from .site import address

pytestmark = pytest.mark.browser

#: What such programs type into fields, where they type at all.
FILLINGS = ("", "scanner@example.net")


def scan(scanner: Person, link: str) -> None:
    """All that is known of mail scanners, and some more."""
    request = scanner.context.request
    for _ in range(10):
        request.get(link)
    request.head(link)
    request.fetch(link, method="OPTIONS")
    _open(scanner, link)
    # Longer than the page of the browser that asked waits before it goes on by itself.
    scanner.page.wait_for_timeout(1000)
    for filling in FILLINGS:
        _press_everything(scanner, link, filling)
    for url in _follow_everything(scanner, link):
        _press_everything(scanner, url, FILLINGS[1])


def _open(scanner: Person, url: str) -> None:
    scanner.page.goto(url, wait_until="load")


def _follow_everything(scanner: Person, link: str) -> list[str]:
    """Open every page of this site that can be reached by links from this one. Returns their addresses."""
    found, todo = [], [link]
    while todo:
        _open(scanner, todo.pop())
        here = scanner.page.url
        for element in scanner.page.locator("a[href]").all():
            url = urljoin(here, element.get_attribute("href")).partition("#")[0]
            if urlsplit(url).netloc == urlsplit(link).netloc and "/inbox/" not in url and url not in found:
                found.append(url)
                todo.append(url)
    return found


def _press_everything(scanner: Person, url: str, filling: str) -> None:
    """Each button of a page, once: with the fields filled, and whatever the browser thinks of what they hold."""
    pressed = 0
    while True:
        _open(scanner, url)
        buttons = scanner.page.locator("button, input[type=submit]")
        if pressed >= buttons.count():
            return
        for field in scanner.page.locator("input[type=text], input[type=email]").all():
            field.fill(filling)
        scanner.page.evaluate("for (const form of document.forms) form.noValidate = true")
        button = buttons.nth(pressed)
        if button.get_attribute("type") == "button":
            button.click(force=True)  # it leads to no page: the browser asks for a passkey
        else:
            with scanner.page.expect_navigation():
                button.click(force=True)
        pressed += 1


@pytest.mark.timeout(120)
def test_after_a_scanner_the_person_signs_in_with_the_same_link(site, people):
    ada = address()
    person, scanner = people(), people()
    person.asks(ada)
    link = site.message(ada)["link"]

    scan(scanner, link)

    scanner.is_signed_out()
    scanner.page.goto(link)
    scanner.sees("link_elsewhere")  # where it still stands, unmoved
    person.page.goto(link)
    person.sees("account")
    person.is_signed_in_as(ada)


def test_after_a_scanner_the_person_signs_in_with_the_code(site, people):
    ada = address()
    person, scanner = people(), people()
    person.asks(ada)
    message = site.message(ada)

    _press_everything(scanner, message["link"], "")

    person.types_code(message["code"])
    person.sees("account")
    person.is_signed_in_as(ada)


def test_after_a_scanner_the_person_signs_in_on_a_phone_that_did_not_ask(site, people):
    ada = address()
    asking, phone, scanner = people(), people(), people()
    asking.asks(ada)
    link = site.message(ada)["link"]

    _press_everything(scanner, link, "scanner@example.net")

    phone.page.goto(link)
    phone.page.get_by_label("Your complete e-mail address").fill(ada)
    phone.presses("Sign in here instead")
    phone.sees("account")
    phone.is_signed_in_as(ada)
