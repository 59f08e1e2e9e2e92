"""Addresses that two people want at one moment, and accounts that are linked twice."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from passwordless_auth.models import Challenge, Counter, Event, Identity
from passwordless_auth.testing import outbox
from passwordless_auth.testing.factories import IdentityFactory
from tests.conftest import Browser
from tests.identities import PAGE, adds, asks_to_add, change, identity, notices, reports
from tests.views.pages import visit

from .together import ready, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

ADA, BOB, WORK, HOME = "ada@example.com", "bob@example.com", "team@work.example", "ada@home.example"


def member(address, number):
    browser = Browser(REMOTE_ADDR=f"203.0.113.{number}")
    browser.sign_in(address)
    return ready(browser)


def type_code(browser, challenge, code):
    return browser.submit("/login/wait/", {"challenge": challenge, "code": code})


def asked(browser, address):
    """The challenge of an address that this browser wants to add, and its code."""
    asks_to_add(browser, address)
    challenge = Challenge.objects.filter(canonical=address).latest("pk")
    return challenge.public_id, challenge.code()


def test_an_address_that_two_accounts_add_at_once_is_one_s(again):
    """Both read the mailbox. One gets it; the other is told that it has an account."""
    ada, bob = member(ADA, 1), member(BOB, 2)
    first = asked(ada, WORK)
    Counter.objects.all().delete()
    second = asked(bob, WORK)

    answers = together([partial(type_code, ada, *first), partial(type_code, bob, *second)])

    assert [answer.status_code for answer in answers] == [303, 303], [answer.content for answer in answers]
    assert sorted(answer["Location"] for answer in answers) == [PAGE, f"{PAGE}?notice=added"]
    assert Identity.objects.filter(canonical=WORK).count() == 1
    assert Event.objects.filter(kind="identity_added").count() == 1
    assert Challenge.objects.filter(purpose="link_accounts").count() == 1


def test_one_code_in_many_tabs_adds_once(again):
    ada = member(ADA, 1)
    challenge, code = asked(ada, WORK)

    answers = together(partial(type_code, tab, challenge, code) for tab in tabs(ada, 8))

    assert [answer.status_code for answer in answers].count(303) == 1
    assert {answer.status_code for answer in answers} <= {303, 410, 429}
    assert Event.objects.filter(kind="identity_added").count() == 1


def press(browser, data):
    return browser.submit(PAGE, data)


def test_two_accounts_are_linked_once(again):
    ada = member(ADA, 1)
    member(BOB, 2)
    Counter.objects.all().delete()
    page = adds(ada, BOB)
    fields = {"challenge": page.form("Link the accounts").fields["challenge"], "action": "link"}

    answers = together(partial(press, tab, fields) for tab in tabs(ada, 6))

    assert [answer.status_code for answer in answers].count(303) == 1, [answer.status_code for answer in answers]
    assert {answer.status_code for answer in answers} <= {303, 410}
    assert Event.objects.filter(kind="accounts_linked").count() == 1
    assert identity(BOB).user.email == ADA


def test_two_accounts_that_take_each_other_in_at_once_end_up_as_one(again):
    """Ada links Bob's account while Bob links Ada's: it is one person at two browsers."""
    ada, bob = member(ADA, 1), member(BOB, 2)
    Counter.objects.all().delete()
    pages = [adds(ada, BOB), adds(bob, ADA)]
    offers = [{"challenge": page.form("Link the accounts").fields["challenge"], "action": "link"} for page in pages]

    answers = together([partial(press, ada, offers[0]), partial(press, bob, offers[1])])

    assert all(answer.status_code < 500 for answer in answers), [answer.status_code for answer in answers]
    assert Event.objects.filter(kind="accounts_linked").count() == 1
    assert Identity.objects.values("user").distinct().count() == 1
    assert User.objects.filter(is_active=True).count() == 1


def test_of_two_ways_in_one_stays(again):
    """Two addresses sign in; in two tabs, each is made to sign in no more."""
    ada = member(ADA, 1)
    IdentityFactory(user=User.objects.get(), canonical=HOME)
    data = [{"action": "uses", "identity": identity(address).public_id, "use": ["notices"]} for address in (ADA, HOME)]

    answers = together(partial(press, tab, each) for tab, each in zip(tabs(ada, 2), data, strict=True))

    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert Identity.objects.filter(for_sign_in=True).count() == 1


def test_a_thief_who_adds_an_address_while_its_owner_says_no_is_out(again):
    ada = member(ADA, 1)
    adds(ada, HOME)
    message = notices("An address was added")[ADA]
    challenge, code = asked(ada, WORK)

    answer, page = together([partial(type_code, ada, challenge, code), partial(reports, ready(Browser()), message)])

    assert answer.status_code < 500
    assert page.status == 200
    assert [row.canonical for row in Identity.objects.all()] == [ADA]
    assert not ada.who()["authenticated"]


def test_an_address_that_is_removed_while_somebody_signs_in_by_it(again):
    ada = member(ADA, 1)
    IdentityFactory(user=User.objects.get(), canonical=HOME)
    visitor = ready(Browser(REMOTE_ADDR="203.0.113.9"))
    visitor.start(HOME)
    code = outbox.last_code(HOME)

    answers = together([partial(change, ada, HOME, "remove"), partial(visitor.submit, "/login/wait/", {"code": code})])

    assert answers[0].status == 200
    assert answers[1].status_code in {303, 410}
    assert not Identity.objects.filter(canonical=HOME, user__email=ADA).exists()
    assert visit(ada, PAGE).status == 200
