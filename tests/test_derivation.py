"""Secrets: derived, sealed, compared; and keys that are rotated while codes are on their way."""

import re
import time

import pytest
from django.utils.crypto import constant_time_compare
from hypothesis import given
from hypothesis import strategies as st

from passwordless_auth import conf, derivation
from passwordless_auth.checks import check_keys_in_use
from passwordless_auth.models import Challenge, Delivery, SignIn
from passwordless_auth.testing import outbox

OLD = ("k1", "the-first-key-of-the-tests-" + "a" * 20)
NEW = ("k2", "the-second-key-of-the-tests-" + "b" * 20)

ASKED = {"key_id": "k1", "purpose": "sign_in", "address": "ada@example.com", "nonce": b"n" * 32}


def code(**changes):
    return derivation.code_for(**{**ASKED, "length": 6, "alphabet": "digits", **changes})


# -- deriving


def test_the_same_row_gives_the_same_code_and_link():
    assert code() == code()
    token = derivation.link_token_for(public_id="p" * 22, **ASKED)
    assert token == derivation.link_token_for(public_id="p" * 22, **ASKED)
    assert re.fullmatch(r"p{22}[A-Za-z0-9_-]{43}", token)
    assert derivation.public_id_of(token) == "p" * 22


@pytest.mark.parametrize(
    "change", [{"purpose": "step_up"}, {"address": "ada@example.co"}, {"nonce": b"m" * 32}, {"key_id": "k2"}]
)
def test_whatever_changes_the_code_and_the_link_change(settings, change):
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [OLD, NEW]

    assert code(**change, length=30) != code(length=30)
    assert derivation.link_token_for(public_id="p" * 22, **{**ASKED, **change}) != derivation.link_token_for(
        public_id="p" * 22, **ASKED
    )


def test_no_field_can_lend_its_letters_to_the_next():
    moved = {"purpose": "sign_inada", "address": "@example.com"}

    assert code(**moved, length=30) != code(length=30)


def test_the_key_of_codes_is_not_the_key_of_links(settings):
    digits = code(length=60)
    token = derivation.link_token_for(public_id="p" * 22, **ASKED)

    assert digits not in token
    assert derivation._subkey(OLD[1], "code") != derivation._subkey(OLD[1], "link")


@given(nonce=st.binary(min_size=32, max_size=32), length=st.integers(4, 20))
def test_a_code_has_the_length_and_the_alphabet_that_were_asked_for(nonce, length):
    assert re.fullmatch(rf"[0-9]{{{length}}}", code(nonce=nonce, length=length))
    letters = code(nonce=nonce, length=length, alphabet="letters")
    assert re.fullmatch(rf"[BCDFGHJKLMNPQRSTVWXZ]{{{length}}}", letters)


def test_codes_are_spread_evenly_and_keep_their_leading_zeros():
    first = [code(nonce=number.to_bytes(32, "big"))[0] for number in range(5000)]

    assert all(400 < first.count(digit) < 600 for digit in "0123456789")


@pytest.mark.parametrize("token", ["", "x", "a" * 64, "a" * 66, "ä" * 65, "a" * 64 + "/", "a" * 64 + "\n"])
def test_what_can_not_be_a_token_names_no_row(token):
    assert derivation.public_id_of(token) is None


# -- reading what a person typed


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("123-456", "123456"),
        ("12.34.56", "123456"),
        ("１２３４５６", "123456"),
        ("١٢٣٤٥٦", "123456"),
        ("१२३४५६", "123456"),
        ("wdjb-mjht", "WDJBMJHT"),
        ("ＷＤＪＢ ＭＪＨＴ", "WDJBMJHT"),
        ("12\u200b34\u00a056", "123456"),
        ("", ""),
    ],
)
def test_spaces_dashes_and_foreign_digits_are_what_the_person_meant(typed, meant):
    assert derivation.tidy_code(typed) == meant


@given(st.text(max_size=80) | st.text(st.characters(categories=["Cs", "Nd"]), max_size=80))
def test_whatever_is_typed_can_be_compared_without_an_error(text):
    assert constant_time_compare(derivation.tidy_code(text), "no code") is False


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("1234", "1234"),
        ("12345", "12345"),
        ("123456", "123 456"),
        ("1234567", "123 456 7"),
        ("12345678", "1234 5678"),
        ("WDJBMJHT", "WDJB-MJHT"),
        ("BCDFGH", "BCD-FGH"),
    ],
)
def test_a_code_is_shown_in_groups(plain, shown):
    assert derivation.grouped(plain) == shown
    assert derivation.tidy_code(shown) == plain


# -- sealing


def test_a_sealed_value_opens_for_its_own_row_and_purpose_only():
    sealed = derivation.seal("a session key", purpose="session", context="row-1")

    assert sealed.startswith("k1:")
    assert "session key" not in sealed
    assert derivation.unseal(sealed, purpose="session", context="row-1") == "a session key"
    assert derivation.unseal(sealed, purpose="session", context="row-2") is None
    assert derivation.unseal(sealed, purpose="totp", context="row-1") is None


def test_a_value_is_never_sealed_the_same_way_twice():
    assert derivation.seal("x", purpose="p", context="c") != derivation.seal("x", purpose="p", context="c")


@pytest.mark.parametrize("sealed", ["", "k1:", "k1:AAAA", "k1:" + "A" * 60, "k1:%%%", "k9:" + "A" * 60, "no colon"])
def test_a_sealed_value_that_was_tampered_with_opens_nothing(sealed):
    assert derivation.unseal(sealed, purpose="session", context="row-1") is None


# -- rotating keys


@pytest.fixture
def process(monkeypatch):
    """Say for how many seconds this process has been running."""

    def has_run_for(seconds):
        monkeypatch.setattr(conf, "_PROCESS_STARTED", time.monotonic() - seconds)

    return has_run_for


def test_a_single_key_issues_at_once(process):
    process(0)

    assert conf.settings.issuing_key_id == "k1"


@pytest.mark.django_db
def test_a_new_key_verifies_at_first_and_issues_after_its_delay(browser, settings, process):
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]

    process(599)
    browser.sign_in("ada@example.com")
    assert Challenge.objects.get().key_id == "k1"
    assert SignIn.objects.get().session_key_sealed.startswith("k1:")

    process(600)
    browser.sign_in("bob@example.com")
    assert Challenge.objects.latest("pk").key_id == "k2"
    assert SignIn.objects.latest("pk").session_key_sealed.startswith("k2:")


@pytest.mark.django_db
def test_a_code_of_the_new_key_is_good_in_a_process_where_it_does_not_issue_yet(browser, settings, process):
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    process(10_000)
    browser.start()
    sent = outbox.last_code("ada@example.com")

    process(1)

    assert browser.submit("/login/wait/", {"code": sent}).status_code == 303
    assert browser.who()["authenticated"]


@pytest.mark.django_db
def test_codes_and_links_on_their_way_survive_a_rotation(browser, settings, process):
    browser.start("ada@example.com")
    code_sent = outbox.last_code("ada@example.com")
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    process(10_000)

    assert browser.submit("/login/wait/", {"code": code_sent}).status_code == 303
    assert browser.who()["authenticated"]


@pytest.mark.django_db
def test_the_code_of_a_key_that_was_dropped_is_refused_cleanly(browser, settings):
    browser.start()
    sent, link = outbox.last_code("ada@example.com"), outbox.last_link("ada@example.com")
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]

    response = browser.submit("/login/wait/", {"code": sent})
    assert response.status_code == 400
    assert b'data-code="invalid_code"' in response.content

    response = browser.get(link, follow=True)
    assert response.status_code == 400
    assert b'data-code="invalid_code"' in response.content
    assert not browser.who()["authenticated"]


@pytest.mark.django_db
def test_a_message_whose_key_was_dropped_is_put_off_and_not_lost(browser, settings):
    browser.start()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]

    assert outbox.send_queued() == 0

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.error) == ("queued", 1, "UnknownKey")

    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    assert outbox.send_queued() == 1


@pytest.mark.django_db
def test_sessions_sealed_by_an_old_key_can_still_be_ended(browser, other_browser, settings, process):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    browser.sign_in()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    process(10_000)
    other_browser.sign_in()

    assert list(check_keys_in_use(databases=["default"])) == []
    other_browser.submit("/account/sessions/", {"scope": "others"})

    assert not browser.who()["authenticated"]
    assert other_browser.who()["authenticated"]


@pytest.mark.django_db
def test_a_session_whose_key_was_dropped_lives_on_and_its_row_can_still_be_ended(browser, settings):
    browser.sign_in()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]

    assert SignIn.objects.get().session_key() is None
    assert browser.get("/account/").status_code == 200
    assert browser.submit("/logout/").status_code == 303
    assert SignIn.objects.get().end_reason == "signed_out"


@pytest.mark.django_db
def test_a_session_whose_key_was_dropped_ends_with_all_others_of_its_user(browser, other_browser, settings, caplog):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    browser.sign_in()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    other_browser.sign_in()
    other_browser.submit("/account/sessions/", {"sign_in": SignIn.objects.earliest("pk").public_id})

    assert not browser.who()["authenticated"]
    assert "can't be opened any more" in caplog.text


# -- settings that change while a code is on its way


@pytest.mark.django_db
def test_a_changed_setting_does_not_change_a_pending_code(browser, settings):
    browser.start()
    sent = outbox.last_code("ada@example.com")
    settings.PASSWORDLESS_AUTH_CODE_LENGTH = 8
    settings.PASSWORDLESS_AUTH_CODE_ALPHABET = "letters"
    settings.PASSWORDLESS_AUTH_CODE_TRIES = 1
    settings.PASSWORDLESS_AUTH_CODE_LIFETIME = 1

    page = browser.get("/login/wait/").content.decode()
    assert 'inputmode="numeric"' in page
    assert "6 digits" in page
    wrong = browser.submit("/login/wait/", {"code": f"{(int(sent) + 1) % 10**6:06}"})
    assert b"2 tries left" in wrong.content
    assert browser.submit("/login/wait/", {"code": sent}).status_code == 303


@pytest.mark.django_db
@pytest.mark.parametrize(
    "typed", [str, str.lower, lambda code: f"{code[:4]}-{code[4:]}", lambda code: f" {' '.join(code.lower())} "]
)
def test_a_code_of_letters_is_taken_as_people_type_it(browser, settings, typed):
    settings.PASSWORDLESS_AUTH_CODE_LENGTH = 8
    settings.PASSWORDLESS_AUTH_CODE_ALPHABET = "letters"
    browser.start()
    sent = outbox.last_code("ada@example.com")
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{8}", sent)
    message = outbox.last_message("ada@example.com")
    assert f"{sent[:4]}-{sent[4:]}" in message.body

    page = browser.get("/login/wait/").content.decode()
    assert 'inputmode="text"' in page
    assert "8 letters" in page

    assert browser.submit("/login/wait/", {"code": typed(sent)}).status_code == 303
    assert browser.who()["authenticated"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "typed",
    [
        lambda code: f"{code[:3]} {code[3:]}",
        lambda code: f" {code[:3]}-{code[3:]}\t",
        lambda code: code.translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)}),
        lambda code: code.translate({ord(str(n)): chr(0x0660 + n) for n in range(10)}),
    ],
    ids=["spaces", "dash", "full width", "Arabic"],
)
def test_a_code_of_digits_is_taken_as_people_type_it(browser, typed):
    browser.start()

    assert browser.submit("/login/wait/", {"code": typed(outbox.last_code("ada@example.com"))}).status_code == 303
    assert browser.who()["authenticated"]
