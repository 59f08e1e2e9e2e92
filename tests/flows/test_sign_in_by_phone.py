"""A person signs in with a phone number: the whole way, by the flows and the doors."""

import pytest
from django.contrib.auth.models import User

from passwordless_auth.exceptions import CountryNotServed
from passwordless_auth.flows import sign_in
from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, Delivery, Event, Identity, SignIn
from passwordless_auth.requester import Requester
from passwordless_auth.testing import outbox
from passwordless_auth.testing.factories import UserFactory

pytestmark = pytest.mark.django_db

ADA = "+4915123456789"


def test_the_first_sign_in_makes_an_account(browser, sms):
    browser.sign_in(ADA)

    identity = Identity.objects.get()
    assert (identity.kind, identity.canonical, identity.is_primary) == ("phone", ADA, True)
    assert identity.proven_at is not None
    assert identity.user.email == ""
    assert browser.who()["user"]["name"] == "+49 1512 3456789"
    assert browser.who()["user"]["email"] is None


def test_the_second_one_comes_to_the_same_account(browser, other_browser, sms, clock):
    browser.sign_in(ADA)
    clock.shift(61)
    other_browser.start("0151 / 23 45 67 89", country="DE")
    other_browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})

    assert User.objects.count() == 1
    assert other_browser.who()["user"] == browser.who()["user"]


def test_a_text_message_is_a_proof_of_its_own_kind(browser, sms):
    browser.sign_in(ADA)

    proof = SignIn.objects.get().proofs[0]
    assert (proof["method"], proof["amr"]) == ("one_time_code", ["otp", "sms"])
    assert SignIn.objects.get().level == "single"


def test_the_message_is_one_text_with_the_line_for_the_phone(browser, sms):
    browser.start(ADA)

    (message,) = sms()
    code = Challenge.objects.get().code()
    assert message.to == ADA
    assert message.text.splitlines()[-1] == f"@testserver #{code}"
    assert message.code == code
    assert "http" not in message.text
    assert (message.subject, message.html) == ("", "")
    assert Delivery.objects.get().channel == "sms"


def test_a_link_comes_along_where_the_rules_say_so(browser, sms, settings):
    settings.PASSWORDLESS_AUTH_SMS_LINKS = True
    browser.start(ADA)

    (message,) = sms()
    assert f"http://testserver/login/link/{Challenge.objects.get().link_token()}/" in message.text.split()
    assert message.text.splitlines()[-1].startswith("@testserver #")
    assert browser.get(outbox.last_link(ADA)).status_code == 303


def test_where_only_links_are_used_the_message_has_one(browser, sms, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
    browser.start(ADA)

    assert "http://testserver/login/link/" in sms()[0].text
    assert "#" not in sms()[0].text


@pytest.mark.parametrize("typed", ["+33 6 12 34 56 78", "+49 30 1234567", "+49 900 1234567", "112", "0151 23456789"])
def test_what_is_refused_reaches_no_provider_and_leaves_no_row(browser, sms, typed):
    assert browser.start(typed).status_code == 400

    assert sms() == []
    assert not Challenge.objects.exists()


def test_no_other_door_gets_around_the_countries(sms):
    with pytest.raises(CountryNotServed):
        sign_in.start(parse("+33612345678"), requester=Requester())


def test_a_message_to_a_country_that_was_taken_off_meanwhile_is_not_sent(browser, sms, settings):
    challenge = sign_in.start(parse(ADA), requester=Requester())
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["AT"]
    outbox.send_queued()

    assert sms() == []
    row = Delivery.objects.get(challenge=challenge)
    assert (row.state, row.error) == ("failed", "not sent: not one of SMS_COUNTRIES")


def test_with_sms_off_a_number_is_no_address(browser):
    response = browser.start(ADA)

    assert response.status_code == 400
    assert b"name@example.com" in response.content
    assert not Challenge.objects.exists()


def test_a_closed_site_says_so_by_text_message(browser, sms, settings):
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"

    assert browser.start(ADA).status_code == 303
    assert "no account" in sms()[0].text
    assert sms()[0].code == ""


def test_a_number_never_adopts_a_user(browser, sms):
    """No field of Django's user is known to hold it; a user name that is one proves nothing."""
    User.objects.create_user(username=ADA, email="")
    browser.sign_in(ADA)

    assert Identity.objects.get().user.username != ADA


def test_a_number_in_the_mail_field_makes_no_phone(sms):
    user = User.objects.create(username="ada", email=ADA)

    assert not Identity.objects.filter(user=user).exists()


def test_an_account_that_is_off_is_told_at_its_number(browser, sms):
    user = UserFactory(address=ADA)
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert browser.start(ADA).status_code == 303
    assert "switched off" in sms()[0].text


def test_the_log_has_the_number_masked(browser, sms, settings, clock):
    for _ in range(2):
        response = browser.start(ADA)

    assert response.status_code == 429
    assert Event.objects.get(kind="limit_reached").masked == "+49•••89"


def test_five_messages_an_hour_and_ten_a_day(browser, sms, settings, clock):
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = ""
    for _ in range(5):
        assert browser.start(ADA).status_code == 303
        assert browser.start(ADA).status_code == 429  # one a minute
        sms()
        clock.shift(61)
    assert browser.start(ADA).status_code == 429
    clock.shift(3600)
    for _ in range(5):
        assert browser.start(ADA).status_code == 303
        sms()
        clock.shift(61)
    clock.shift(3600)
    assert browser.start(ADA).status_code == 429
    assert len(sms()) == 10
