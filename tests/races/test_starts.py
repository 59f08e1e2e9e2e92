"""Many starts at one moment: the limit passes exactly its number (FT-06), and a browser has one open challenge."""

import secrets
from functools import partial

import pytest
from django.db import connection

from passwordless_auth.models import Challenge, Counter, Delivery, Event
from passwordless_auth.testing import outbox

from .together import ready, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

#: SQLite has one writer at a time, and waits for it by sleeping: fewer prove as much.
STARTS = 200 if connection.vendor == "postgresql" else 40
LIMIT = 5
NO_LIMITS = {
    "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS": "",
    "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER": "",
    "PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP": "",
}


def some_ip():
    """Redis is not emptied between tests; so each uses addresses that none has used before."""
    return ".".join(["10", *(str(secrets.randbelow(250) + 1) for _ in range(3))])


def some_address():
    return f"ada-{secrets.token_hex(8)}@example.com"


def start_at_one_moment(programs, whos):
    """Each program starts a quarter of them. How many passed, were refused, and failed."""
    for number, program in enumerate(programs):
        program.tell(whos[number::4])
    statuses = [status for program in programs for status in program.hear()]
    assert len(statuses) == len(whos)
    return {status: statuses.count(status) for status in set(statuses)}


def test_four_processes_pass_exactly_the_limit_of_an_ip_address(four_processes, again):
    ip = some_ip()

    answers = start_at_one_moment(four_processes, [{"address": some_address(), "ip": ip} for _ in range(STARTS)])

    assert answers == {303: LIMIT, 429: STARTS - LIMIT}
    assert Challenge.objects.filter(ip=ip).count() == LIMIT


def test_four_processes_pass_exactly_the_limit_of_an_address(four_processes, again):
    address = some_address()

    answers = start_at_one_moment(four_processes, [{"address": address, "ip": some_ip()} for _ in range(STARTS)])

    assert answers == {303: LIMIT, 429: STARTS - LIMIT}
    assert Delivery.objects.filter(canonical=address).count() == LIMIT


def test_refusals_at_one_moment_are_counted_and_leave_one_event(browser, settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "1/h"
    browser.start("ada@example.com")

    answers = together(partial(tab.start, "ada@example.com") for tab in tabs(browser, 20))

    assert [answer.status_code for answer in answers] == [429] * 20
    counter = Counter.objects.get(action="sends")
    assert (counter.count, counter.refused) == (1, 20)
    assert Event.objects.filter(kind="limit_reached").count() == 1


def test_two_starts_of_one_browser_leave_one_open_challenge(browser, settings, again):
    for name, value in NO_LIMITS.items():
        setattr(settings, name, value)
    browser.start("ada@example.com")

    answers = together(partial(tab.start, "ada@example.com") for tab in tabs(browser, 2))

    assert [answer.status_code for answer in answers] == [303, 303]
    assert Challenge.objects.count() == 3
    open_one = Challenge.objects.get(state=Challenge.State.OPEN)
    # The code of the newest message is the one that works.
    code = open_one.code()
    assert browser.submit("/login/wait/", {"code": code, "challenge": open_one.public_id}).status_code == 303


def test_twenty_starts_of_one_browser_leave_one_open_challenge(browser, settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "20/h"
    browser.get("/login/")
    browser.start("somebody-else@example.com")  # so that all tabs have one browser key

    answers = together(partial(tab.start, "ada@example.com") for tab in tabs(browser, 20))

    assert [answer.status_code for answer in answers] == [303] * 20
    assert Challenge.objects.filter(canonical="ada@example.com").count() == 20
    assert Challenge.objects.filter(canonical="ada@example.com", state=Challenge.State.OPEN).count() == 1


def test_starts_of_two_browsers_leave_two_open_challenges(browser, other_browser, settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "2/h"
    browser.get("/login/")
    other_browser.get("/login/")

    answers = together(partial(ready(one).start, "ada@example.com") for one in (browser, other_browser))

    assert [answer.status_code for answer in answers] == [303, 303]
    assert Challenge.objects.filter(state=Challenge.State.OPEN).count() == 2


def test_twenty_resends_at_one_moment_send_what_the_limit_leaves(browser, settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "3/h"
    browser.start("ada@example.com")
    code = outbox.last_code("ada@example.com")

    answers = together(partial(tab.submit, "/login/resend/") for tab in tabs(browser, 20))

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(303), statuses.count(429)) == (2, 18)
    assert Delivery.objects.filter(state=Delivery.State.HANDED_OVER).count() == 3
    assert Challenge.objects.get().state == Challenge.State.OPEN
    assert outbox.last_code("ada@example.com") == code
