"""What a message says, as the person who gets it reads it."""

import re
from datetime import timedelta
from email.utils import getaddresses

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone, translation
from django.utils.html import strip_tags

from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, Delivery, Identity
from passwordless_auth.testing import outbox

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def html_of(message):
    (alternative,) = message.alternatives
    assert alternative[1] == "text/html"
    return alternative[0]


def words_of(html):
    """The words of an HTML part, without its style sheet."""
    return " ".join(strip_tags(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)).split())


@pytest.fixture
def message(browser):
    browser.start()
    return outbox.last_message(ADA)


# -- code and link


def test_the_subject_begins_with_the_code_and_names_the_site(message):
    assert message.subject == f"{outbox.last_code(ADA)} is your sign-in code for Testserver"
    assert message.to == [ADA]
    assert message.from_email == "sign-in@testserver.example"


def test_the_code_can_be_kept_out_of_the_subject(browser, settings):
    settings.PASSWORDLESS_AUTH_CODE_IN_SUBJECT = False
    browser.start()

    assert outbox.last_message(ADA).subject == "Your sign-in code for Testserver"
    assert outbox.last_code(ADA) not in outbox.last_message(ADA).subject


def test_both_parts_carry_the_same_code_and_the_same_link(message):
    html = html_of(message)
    challenge = Challenge.objects.get()
    code, link = challenge.code(), f"http://testserver/login/link/{challenge.link_token()}/"

    lines = message.body.splitlines()
    assert code in lines
    assert link in lines
    assert html.count(link) == 1
    (element,) = re.findall(r'<span class="code[^>]*>(.*?)</td>', html, re.DOTALL)
    assert "".join(strip_tags(element).split()) == code


def test_a_code_of_letters_is_grouped_by_a_dash_for_the_eye(browser, settings):
    settings.PASSWORDLESS_AUTH_CODE_ALPHABET = "letters"
    settings.PASSWORDLESS_AUTH_CODE_LENGTH = 8
    browser.start()
    code = Challenge.objects.get().code()

    message = outbox.last_message(ADA)
    assert f"{code[:4]}-{code[4:]}" in message.body.splitlines()
    assert f"{code[:4]}-{code[4:]}" in words_of(html_of(message))


def test_a_message_may_carry_the_link_alone(browser, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
    browser.start()
    challenge = Challenge.objects.get()

    message = outbox.last_message(ADA)
    assert message.subject == "Your sign-in link for Testserver"
    for part in (message.subject, message.body, html_of(message)):
        assert challenge.code() not in part
    assert "code" not in message.body.lower()
    assert outbox.last_link(ADA)


def test_a_message_may_carry_the_code_alone(browser, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code"]
    browser.start()

    message = outbox.last_message(ADA)
    assert "/login/link/" not in message.body + html_of(message)
    assert browser.submit("/login/wait/", {"code": outbox.last_code(ADA)}).status_code == 303


# -- who, when, how long, and what if not


def test_both_parts_say_who_asked_when_and_how_long_it_works(browser, clock):
    clock.shift(34 * 60)
    browser.start()
    message = outbox.last_message(ADA)

    for part in (message.body, words_of(html_of(message))):
        assert "Chrome on Windows" in part
        assert "127.0.0.1" in part
        assert "May 1, 2026, 12:34 p.m. UTC" in part
        assert "works once, for 5 minutes" in part
        assert "Was this not you?" in part
        assert "Never read the code to anyone" in part


def test_the_message_says_how_long_its_longest_part_works(browser, settings):
    settings.PASSWORDLESS_AUTH_CODE_LIFETIME = 60
    settings.PASSWORDLESS_AUTH_LINK_LIFETIME = 90
    browser.start()

    assert "works once, for 2 minutes" in outbox.last_message(ADA).body


def test_one_minute_is_one_minute(browser, settings):
    settings.PASSWORDLESS_AUTH_CODE_LIFETIME = settings.PASSWORDLESS_AUTH_LINK_LIFETIME = 60
    browser.start()

    assert "for 1 minute." in outbox.last_message(ADA).body


def test_a_browser_that_names_nothing_is_told_as_it_is(settings):
    from .conftest import Browser

    Browser(HTTP_USER_AGENT="").start()
    message = outbox.last_message(ADA)

    assert "Asked from" not in message.body + html_of(message)
    assert "IP address" in message.body


def test_a_new_person_is_welcomed_and_a_known_one_is_not(browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""
    browser.sign_in()
    assert "There is no account for this address yet: signing in makes one." in outbox.last_message(ADA).body
    browser.start()
    assert "no account" not in outbox.last_message(ADA).body


# -- other kinds


def test_with_sign_up_closed_an_unknown_address_is_told_the_truth_and_gets_no_code(browser, settings):
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    browser.start()
    message, challenge = outbox.last_message(ADA), Challenge.objects.get()

    assert message.subject == "There is no account for this address at Testserver"
    assert Delivery.objects.get().kind == "no_account"
    for part in (message.subject, message.body, html_of(message)):
        assert challenge.code() not in part
        assert "/login/link/" not in part
    assert "new accounts are not open to everyone" in message.body
    assert "Chrome on Windows" in message.body


def test_the_owner_of_a_disabled_account_is_told_so_and_gets_no_code(browser):
    user = User.objects.create_user("ada", ADA)
    user.is_active = False
    user.save()
    browser.start()
    message, challenge = outbox.last_message(ADA), Challenge.objects.get()

    assert message.subject == "Your account at Testserver is switched off"
    assert Delivery.objects.get().kind == "disabled"
    for part in (message.subject, message.body, html_of(message)):
        assert challenge.code() not in part
        assert "/login/link/" not in part


def test_an_address_that_may_not_sign_in_is_told_so(browser):
    User.objects.create_user("ada", ADA)
    Identity.objects.update(for_sign_in=False)
    browser.start()

    assert Delivery.objects.get().kind == "no_sign_in"
    assert outbox.last_message(ADA).subject == "This address does not sign in to Testserver"


def test_a_step_up_says_what_it_is_for_and_where_to_end_what_one_does_not_know(browser, clock):
    browser.sign_in()
    clock.shift(3600)
    browser.submit("/login/step-up/", {"next": "/recent/"})
    message = outbox.last_message(ADA)
    code = outbox.last_code(ADA)

    assert message.subject == f"{code} confirms that it is you at Testserver"
    for part in (message.body, html_of(message)):
        assert "http://testserver/account/sessions/" in part
        assert Challenge.objects.latest("pk").link_token() in part
        assert "want to do something that only you may do" in part


def test_a_step_up_may_carry_the_link_alone(browser, settings, clock):
    browser.sign_in()
    clock.shift(3600)
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
    browser.submit("/login/step-up/")
    message = outbox.last_message(ADA)

    assert message.subject == "Confirm that it is you at Testserver"
    assert "code" not in message.body.lower()


# -- headers


def test_no_holiday_note_comes_back(message):
    headers = message.message()

    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "All"
    assert headers["Content-Language"] == "en"


def test_two_attempts_at_one_delivery_are_one_message(browser):
    browser.start()
    outbox.send_queued()
    Delivery.objects.update(state="queued")  # as if the process had died before it wrote it down
    outbox.send_queued()

    first, second = mail.outbox
    assert first.message()["Message-ID"] == second.message()["Message-ID"]
    assert first.message()["Message-ID"] == f"<{Delivery.objects.get().public_id}@testserver>"
    assert (first.subject, first.body, html_of(first)) == (second.subject, second.body, html_of(second))


def test_a_message_that_was_asked_for_again_is_another_one_with_the_same_code(browser, clock):
    browser.start()
    outbox.send_queued()
    clock.shift(61)
    assert browser.submit("/login/resend/").status_code == 303
    outbox.send_queued()

    first, second = mail.outbox
    assert first.message()["Message-ID"] != second.message()["Message-ID"]
    assert first.subject == second.subject


def test_a_name_of_two_lines_stays_one_line_in_the_subject(browser, settings):
    settings.PASSWORDLESS_AUTH_SITE_NAME = "Ada's\r\nBcc: eve@example.net & <b>Co</b>"
    browser.start()
    message = outbox.last_message(ADA)

    assert message.subject == f"{outbox.last_code(ADA)} is your sign-in code for Ada's Bcc: eve@example.net & <b>Co</b>"
    assert [address for _name, address in getaddresses([message.message()["To"]])] == [ADA]
    assert message.message()["Bcc"] is None
    assert "<b>Co</b>" not in html_of(message)
    assert "& <b>Co</b>" in message.body


# -- nothing from elsewhere


def test_nothing_is_fetched_from_anywhere_and_nobody_counts_who_reads(browser, settings, clock):
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    browser.start("nobody@example.com")
    settings.PASSWORDLESS_AUTH_SIGN_UP = "open"
    browser.sign_in()
    clock.shift(3600)
    browser.submit("/login/step-up/")
    outbox.send_queued()

    assert len(mail.outbox) == 3
    for message in mail.outbox:
        html = html_of(message)
        assert not re.findall(r"<(?:img|link|script|iframe|object|video|form)\b|url\(|@import|@font-face|\bsrc=", html)
        for address in re.findall(r"https?://[^\s\"'<>]+", html + message.body):
            assert address.startswith("http://testserver/") or address == "http://testserver"


def test_hosts_come_from_the_settings_and_never_from_the_request(browser, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    response = browser.submit(
        "/login/",
        {"identifier": ADA},
        headers={"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"},
    )
    assert response.status_code == 303
    message = outbox.last_message(ADA)

    assert "evil.example" not in message.body + html_of(message) + str(message.message())
    assert outbox.last_link(ADA).startswith("http://testserver/login/link/")


# -- languages


@pytest.mark.parametrize(
    ("asked", "language", "direction"), [("en", "en", "ltr"), ("de", "de", "ltr"), ("ar", "ar", "rtl")]
)
def test_the_message_is_in_the_language_of_who_asked(browser, settings, asked, language, direction):
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
    browser.submit("/login/", {"identifier": ADA}, headers={"accept-language": asked})
    translation.activate("en")  # who sends is another thread
    message = outbox.last_message(ADA)

    assert f'<html lang="{language}" dir="{direction}">' in html_of(message)
    assert message.message()["Content-Language"] == language
    assert translation.get_language() == "en"


def test_a_german_request_gets_a_german_message(browser):
    browser.submit("/login/", {"identifier": ADA}, headers={"accept-language": "de-AT,de;q=0.9"})
    message = outbox.last_message(ADA)

    english = ("sign-in code", "Was this not you", "works once", "Never read", "Asked from", "IP address:")
    german = message.subject + message.body + words_of(html_of(message))
    assert [phrase for phrase in english if phrase in german] == []
    assert re.search(r"\bMinuten\b", message.body)
    assert re.search(r"^[0-9]{6}$", message.body, re.MULTILINE)


def test_a_message_of_no_attempt_is_composed_too(browser):
    """A notice that some other part of a project sends by the outbox."""
    Delivery.objects.create(
        kind="disabled", canonical=parse(ADA).canonical, expires_at=timezone.now() + timedelta(minutes=5)
    )

    message = outbox.last_message(ADA)
    assert message.subject == "Your account at Testserver is switched off"
    assert "Asked from" not in message.body
