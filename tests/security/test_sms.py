"""Text messages cost money, and numbers are addresses like others (SM; EN for phones)."""

import pytest
from django.contrib.auth import get_user_model

from passwordless_auth.channels import memory
from passwordless_auth.models import Challenge, Delivery, Identity
from passwordless_auth.testing.factories import UserFactory

from . import test_enumeration as by_mail
from .conftest import stranger

pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()
THEIRS, NOBODYS = "+4915123456789", "+4915123456788"


# -- SM-01


@pytest.mark.parametrize(
    "typed",
    ["+33612345678", "+447781123456", "+18765551234", "+882 13300655", "+49 900 1234567", "+1 900 555 0199", "+49 800 1234567",
     "+49 180 5 123456", "+49 30 1234567", "+49 112", "110", "+1 32665", "+4915123456789,+33612345678", "+49 151 23456789 x5"],
)  # fmt: skip
def test_no_message_leaves_for_what_is_not_allowed(sms, typed):
    """SM-01: refused before a provider is called, and before a row is written. The twin: an allowed one is sent."""
    visitor = stranger()

    assert visitor.start(typed).status_code == 400
    assert memory.sent == []
    assert not Challenge.objects.exists()
    assert not Delivery.objects.exists()

    assert visitor.start(THEIRS).status_code == 303
    assert [message.to for message in memory.sent] == [THEIRS]


def test_until_a_country_is_named_there_are_no_text_messages():
    visitor = stranger()

    assert visitor.start(THEIRS).status_code == 400
    assert memory.sent == []


@pytest.mark.parametrize(
    "spelling", ["+49 (0)151 234 567 89", "0049-151-23456789", "+٤٩١٥١٢٣٤٥٦٧٨٩", "\u202a+4915123456789\u202c"]
)
def test_another_spelling_is_no_other_number(sms, spelling):
    """SM-04: limits count the E.164 number."""
    assert stranger("203.0.113.1").start(THEIRS).status_code == 303
    assert stranger("203.0.113.2").start(spelling).status_code == 429
    assert len(memory.sent) == 1


def test_one_number_gets_five_messages_an_hour_whoever_asks(sms, clock):
    """SM-04."""
    for number in range(8):
        stranger(f"203.0.113.{number}").start(THEIRS)
        clock.shift(200)

    assert len(memory.sent) == 5


# -- EN


def known(number):
    UserFactory(address=number)


def disabled(number):
    User.objects.filter(pk=UserFactory(address=number).pk).update(is_active=False)


def not_for_sign_in(number):
    UserFactory(address=number)
    Identity.objects.filter(canonical=number).update(for_sign_in=False)


@pytest.mark.parametrize("sign_up", ["open", "closed"])
@pytest.mark.parametrize("person", [known, disabled, not_for_sign_in])
def test_a_number_that_is_known_is_answered_and_worked_for_like_any_other(sms, clock, settings, person, sign_up):
    """EN-01 for phones: the same answers, and the same statements."""
    person(THEIRS)
    settings.PASSWORDLESS_AUTH_SIGN_UP = sign_up
    clock.shift(3600)
    theirs, nobodys = (walk(number, clock) for number in (THEIRS, NOBODYS))

    assert [seen["status"] for _name, seen, _work in theirs][:3] == [303, 429, 200]
    by_mail.compare(theirs, nobodys)


def walk(number, clock):
    """The same walk as for mail. What the page shows of the number is taken out, as ``walk`` does with an address."""
    shown = Identity(kind="phone", canonical=number).identifier.display
    found = by_mail.walk(by_mail.visitors("new"), number, clock)
    for _name, seen, _work in found:
        seen["body"] = seen["body"].replace(shown, "ADDRESS")
    return found
