"""Nobody learns from an answer, or from the work behind it, who has an account here (EN)."""

import re

import pytest
from django.contrib.auth import get_user_model

from passwordless_auth.flows import receipts
from passwordless_auth.models import AddressMark, Challenge, Delivery, Identity
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .conftest import error_code, guess, member, messages_to, newest, statements, stranger, wrong_code

# Real transactions: what is sent, logged and written down after the commit is part of the work.
pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()


def known(address):
    member(address)


def signed_in_elsewhere(address):
    stranger("192.0.2.200").sign_in(address)


def unknown(address):
    pass


def disabled(address):
    member(address, active=False)


def member_of_staff(address):
    member(address, is_staff=True, is_superuser=True)


def not_for_sign_in(address):
    member(address)
    Identity.objects.filter(canonical=address).update(for_sign_in=False)


def unproven(address):
    User.objects.create_user("entered-by-an-admin", email=address)


def not_imported(address):
    User.objects.bulk_create([User(username="from-before", email=address)])


#: Headers that follow the clock, or the length of the typed address.
MOVING = {"Content-Length", "Expires"}
PEOPLE = [known, signed_in_elsewhere, disabled, member_of_staff, not_for_sign_in, unproven, not_imported]


def seen_of(answer, address):
    """What the other side sees, without what differs from one request to the next for everybody."""

    def plain(text):
        text = text.replace(address, "ADDRESS")
        text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "CSRF", text)
        for public_id in Challenge.objects.values_list("public_id", flat=True):
            text = text.replace(public_id, "PUBLIC-ID")
        return text

    return {
        "status": answer.status_code,
        "headers": {name: plain(value) for name, value in answer.headers.items() if name not in MOVING},
        "cookies": {name: {**morsel, "expires": ""} for name, morsel in answer.cookies.items()},
        "body": plain(answer.content.decode()),
    }


def walk(browser, address, clock):
    """Everything that can be asked without reading the mailbox: what was seen, and the statements behind it."""
    steps = []

    def step(name, ask):
        with statements() as work:
            answer = ask()
        steps.append((name, seen_of(answer, address), work))
        return answer

    browser.get("/login/")
    asked = step("start", lambda: browser.start(address))
    step("start again at once", lambda: browser.start(address))
    step("waiting page", lambda: browser.get(asked["Location"]))
    step("status", lambda: browser.get("/login/wait/status.json"))
    step("no code", lambda: guess(browser, "12", address))
    step("wrong code", lambda: guess(browser, wrong_code(address), address))
    clock.shift(61)
    step("send again", lambda: browser.submit("/login/resend/", {"challenge": newest(address).public_id}))
    step("send again at once", lambda: browser.submit("/login/resend/", {"challenge": newest(address).public_id}))
    step("second wrong code", lambda: guess(browser, wrong_code(address), address))
    step("third wrong code", lambda: guess(browser, wrong_code(address), address))
    step("fourth wrong code", lambda: guess(browser, wrong_code(address), address))
    step("page of a dead message", lambda: browser.get(asked["Location"]))
    clock.shift(61)
    step("start anew", lambda: browser.start(address))
    clock.shift(301)
    step("too late", lambda: guess(browser, wrong_code(address), address))
    step("somebody else's", lambda: stranger().submit("/login/wait/", {"challenge": newest(address).public_id}))
    return steps


def visitors(kind):
    """A browser that never was here, and one that other accounts know."""
    browser = Browser(REMOTE_ADDR="203.0.113.50")
    if kind == "known to another account":
        browser.sign_in("mallory@example.com")
        browser.submit("/logout/")
    return browser


def compare(first, second):
    assert [name for name, *_rest in first] == [name for name, *_rest in second]
    for (name, seen, work), (_name, other_seen, other_work) in zip(first, second, strict=True):
        assert seen == other_seen, name
        assert work == other_work, name


@pytest.mark.parametrize(
    ("person", "sign_up"),
    [*((person, "open") for person in PEOPLE), *((person, "closed") for person in (known, disabled, not_imported))],
)
def test_who_has_an_account_is_answered_and_worked_for_like_who_has_none(clock, settings, person, sign_up):
    """EN-01: status, body, headers, cookies, redirect; and the same statements in the same order."""
    person("somebody@example.com")
    settings.PASSWORDLESS_AUTH_SIGN_UP = sign_up
    clock.shift(3600)
    theirs = walk(visitors("new"), "somebody@example.com", clock)
    nobodys = walk(visitors("new"), "nobodyyy@example.com", clock)

    statuses = [seen["status"] for _name, seen, _work in theirs]
    assert statuses == [303, 429, 200, 200, 400, 400, 303, 429, 400, 410, 410, 410, 303, 410, 403]
    assert len(theirs[0][2]) > 3  # the statements were seen
    compare(theirs, nobodys)


@pytest.mark.parametrize("person", [known, disabled])
def test_a_browser_that_other_accounts_know_learns_no_more(clock, person):
    """EN-01: having an account of one's own opens no second view."""
    person("somebody@example.com")
    clock.shift(3600)
    mallory = visitors("known to another account")
    theirs = walk(mallory, "somebody@example.com", clock)
    clock.shift(3600)
    compare(theirs, walk(mallory, "nobodyyy@example.com", clock))


@pytest.mark.parametrize("person", [known, disabled])
def test_after_strangers_used_up_the_guesses_all_addresses_still_look_alike(clock, settings, person):
    """EN-01"""
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_ACCOUNT = "3/h"
    person("somebody@example.com")
    walks = []
    for address in ("somebody@example.com", "nobodyyy@example.com"):
        attacker = visitors("new")
        attacker.start(address)
        for _try in range(3):
            guess(attacker, wrong_code(address), address)
        clock.shift(61)
        browser, steps = visitors("new"), []
        browser.get("/login/")
        for ask in (
            lambda: browser.start(address),  # noqa: B023 (called at once)
            lambda: browser.get("/login/wait/"),  # noqa: B023
            lambda: guess(browser, "123456", address),  # noqa: B023
        ):
            with statements() as work:
                answer = ask()
            steps.append((len(steps), seen_of(answer, address), work))
        walks.append(steps)

    assert [seen["status"] for _name, seen, _work in walks[0]] == [303, 200, 429]
    compare(*walks)


@pytest.mark.parametrize("person", [known, disabled, not_imported])
def test_what_a_provider_tells_of_a_message_is_shown_alike_for_all(clock, person):
    """EN-01: on its way, come back, and the address marked from then on; the marked one still gets its message."""
    person("somebody@example.com")
    walks = []
    for address in ("somebody@example.com", "nobodyyy@example.com"):
        browser, steps = visitors("new"), []
        browser.get("/login/")
        for state in ("delivered", "bounced", "deferred"):
            with statements() as work:
                asked = browser.start(address)
            steps.append(("start", seen_of(asked, address), work))
            sent = Delivery.objects.latest("pk")
            assert (sent.canonical, sent.state) == (address, "handed_over")
            receipts.record(sent.provider, "", state, key=sent.public_id, of_address=True)
            for ask in (asked["Location"], "/login/wait/status.json"):
                with statements() as work:
                    answer = browser.get(ask)
                steps.append((f"{ask} {state}", seen_of(answer, address), work))
            clock.shift(61)
        walks.append([(number, *step[1:]) for number, step in enumerate(steps)])

    compare(*walks)
    assert AddressMark.objects.count() == 2
    assert "Lately there was trouble" in walks[0][7][1]["body"]
    assert messages_to("somebody@example.com")


@pytest.mark.parametrize("person", [known, unknown, disabled, not_for_sign_in])
def test_every_valid_address_gets_one_message(browser, person):
    """EN-01: so that "it was sent" is true for everybody."""
    person("somebody@example.com")
    browser.start("somebody@example.com")

    assert len(messages_to("somebody@example.com")) == 1
    assert browser.get("/login/wait/status.json").json()["delivery"] == "handed_over"


def test_the_twin_each_gets_what_their_mailbox_may_know(clock, settings):
    """EN-01: the owner of the mailbox is told, and let in or not."""
    person = member("known@example.com")
    member("disabled@example.com", active=False)
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"

    browser = visitors("new")
    browser.sign_in("known@example.com")
    assert browser.who()["user"]["email"] == person.email

    for address, code in (("disabled@example.com", "disabled"), ("unknown@example.com", "sign_up_closed")):
        visitor = visitors("new")
        visitor.start(address)
        message = outbox.last_message(address)
        assert newest(address).code() not in message.subject + message.body + str(message.alternatives)
        # Even who guesses the code that nobody was sent comes to nothing.
        refused = guess(visitor, newest(address).code(), address)
        assert (refused.status_code, error_code(refused)) == (403, code)
        assert not visitor.who()["authenticated"]
    assert User.objects.count() == 2


def test_an_unknown_address_becomes_an_account_only_by_its_proof(browser):
    """EN-01: asking alone makes no user."""
    browser.start("new@example.com")
    assert User.objects.count() == 0
    guess(browser, newest("new@example.com").code(), "new@example.com")

    assert User.objects.count() == 1
