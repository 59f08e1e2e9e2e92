"""The pages of a sign-in by phone number: the field, the country, the waiting page."""

import re

import pytest
from django.utils import timezone

from passwordless_auth.models import Challenge, Identity
from passwordless_auth.testing import outbox
from passwordless_auth.testing.factories import UserFactory

pytestmark = pytest.mark.django_db

ADA = "+4915123456789"


def select(response):
    """The country's field: (its tag, the chosen country), or None."""
    found = re.search(r'<select[^>]*id="country"[^>]*>(.*?)</select>', response.content.decode(), re.DOTALL)
    if not found:
        return None
    chosen = re.search(r'value="(\w+)"[^>]* selected', found[1])
    return found[0].partition(">")[0], chosen and chosen[1]


def test_without_sms_the_page_asks_for_mail_alone(browser):
    response = browser.get("/login/")

    assert select(response) is None
    assert b"identifier.js" not in response.content
    assert b"E-mail address</label>" in response.content


def test_with_sms_it_asks_for_either_and_keeps_the_country_back(browser, sms):
    response = browser.get("/login/")

    tag, chosen = select(response)
    assert b"E-mail address or mobile number</label>" in response.content
    assert "disabled" in tag
    assert chosen is None
    assert b'<div class="pa-field" data-country hidden>' in response.content
    assert response.content.count(b"<option") == 4
    assert b'<option value="AT" data-calling="43">AT (+43)</option>' in response.content


def test_a_language_preselects_its_country(browser, sms):
    assert select(browser.get("/login/", headers={"accept-language": "de"}))[1] == "DE"


def test_a_number_as_at_home_is_asked_for_its_country(browser, sms):
    response = browser.start("0151 23456789")

    tag, chosen = select(response)
    assert response.status_code == 400
    assert "disabled" not in tag
    assert 'aria-describedby="country-error"' in tag
    assert chosen is None
    assert b"In which country is this phone number?" in response.content
    assert b'id="identifier-error"' not in response.content
    assert b'value="0151 23456789"' in response.content
    assert b'data-code="invalid_identifier"' in response.content

    assert browser.start("0151 23456789", country="DE").status_code == 303
    assert Challenge.objects.get().canonical == ADA


def test_in_german_a_number_as_in_germany_needs_no_question(browser, sms):
    response = browser.submit("/login/", {"identifier": "0151 23456789"}, headers={"accept-language": "de"})

    assert response.status_code == 303
    assert Challenge.objects.get().canonical == ADA


def test_a_chosen_country_stays_chosen_when_the_number_is_wrong(browser, sms):
    response = browser.start("0151", country="AT")

    assert select(response)[1] == "AT"
    assert "disabled" not in select(response)[0]
    assert b'id="identifier-error"' in response.content


@pytest.mark.parametrize("country", ["XX", "FR", "de", "\0", "GERMANY", "<b>"])
def test_a_country_that_is_not_offered_is_no_answer(browser, sms, country):
    response = browser.start("0151 23456789", country=country)

    assert response.status_code in {303, 400}
    assert Challenge.objects.count() == (1 if country == "de" else 0)
    assert b"<b>" not in response.content


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("+49 30 1234567", b"No text message can be sent to this number."),
        ("+49 900 1234567", b"No text message can be sent to this number."),
        ("+1 800 555 0199", b"No text message can be sent to this number."),
        ("+33 6 12 34 56 78", b"We send no text messages to this country."),
        ("+49 112", b"There is no such phone number."),
        ("+49 151 2345", b"There is no such phone number."),
        ("ada", b"or a mobile phone number."),
    ],
)
def test_a_refused_number_is_told_why(browser, sms, typed, sentence):
    response = browser.start(typed)

    assert response.status_code == 400
    assert sentence in response.content
    assert not Challenge.objects.exists()


def test_the_waiting_page_speaks_of_the_phone(browser, sms):
    page = browser.get(browser.start(ADA)["Location"]).content.decode()

    assert "Check your phone" in page
    assert "+49 1512 3456789" in page
    assert "phone network" in page
    assert "spam" not in page
    assert "mail" not in re.sub(r"<(script|link)[^>]*>", "", page).lower()
    assert "data-otp" in page
    assert "otp.js" in page
    assert 'autocomplete="one-time-code"' in page


def test_the_waiting_page_of_a_mail_has_nothing_of_that(browser, sms):
    page = browser.get(browser.start()["Location"]).content.decode()

    assert "Check your e-mail" in page
    assert "otp.js" not in page
    assert "data-otp" not in page


def test_it_is_sent_again_after_a_minute(browser, sms, clock):
    browser.start(ADA)
    assert browser.submit("/login/resend/").status_code == 429
    clock.shift(61)
    assert browser.submit("/login/resend/").status_code == 303

    first, second = sms()
    assert first.code == second.code


def test_three_wrong_codes_and_the_message_is_dead(browser, sms):
    browser.start(ADA)
    code = outbox.last_code(ADA)
    for _ in range(3):
        response = browser.submit("/login/wait/", {"code": f"{(int(code) + 1) % 10**6:06}"})

    assert response.status_code == 410
    assert browser.submit("/login/wait/", {"code": code}).status_code == 410


def test_the_code_works_in_the_browser_that_asked_alone(browser, other_browser, sms):
    location = browser.start(ADA)["Location"]
    other_browser.submit("/login/wait/", {"code": outbox.last_code(ADA), "challenge": location.partition("=")[2]})

    assert other_browser.who()["authenticated"] is False


def test_a_link_elsewhere_takes_the_number_as_it_is_dialled(browser, other_browser, sms, settings):
    settings.PASSWORDLESS_AUTH_SMS_LINKS = True
    browser.start(ADA)
    other_browser.get(outbox.last_link(ADA))
    page = other_browser.get("/login/link/")
    data = {"identifier": "0151 23456789", "challenge": Challenge.objects.get().public_id, "action": "sign_in"}

    assert b"+49\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa289" in page.content
    assert select(other_browser.submit("/login/link/", data))[1] is None
    assert other_browser.submit("/login/link/", {**data, "country": "DE"}).status_code == 303
    assert other_browser.who()["authenticated"] is True


def test_an_account_is_recovered_by_its_number(browser, sms):
    user = UserFactory(address=ADA)
    response = browser.submit("/login/recovery/", {"identifier": "0151 23456789", "country": "DE", "action": "send"})
    assert response.status_code == 303
    assert "recovers your account" in sms()[0].text
    browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})

    assert browser.get("/account/passkeys/").status_code == 200
    assert Identity.objects.get(user=user).proven_at <= timezone.now()


def test_a_step_up_asks_the_number(browser, sms, clock):
    browser.sign_in(ADA)
    clock.shift(900)
    browser.submit("/login/step-up/", {"action": "message"})

    assert "confirms that it is you" in sms()[-1].text


def test_the_browser_asks_for_passkeys_of_a_number(browser, sms):
    browser.get("/login/")
    answer = browser.post(
        "/login/passkey/options/",
        {"identifier": ADA},
        content_type="application/json",
        headers={"origin": "http://testserver"},
    )

    assert answer.status_code == 200
    assert answer.json()["allowCredentials"]  # decoys
