"""Preparing: recovery codes on paper, addresses that may recover, and how an account stands."""

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from passwordless_auth import derivation
from passwordless_auth.models import Event, Identity, Passkey, Profile, RecoveryCode, Totp
from passwordless_auth.testing import outbox
from passwordless_auth.testing.authenticator import Authenticator
from tests.passkeys import register, sign_in, with_passkey
from tests.recovery import codes_on, make_codes, recover

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
NUMBER = "+4915123456789"
PATH = "/account/recovery-codes/"
BY_PASSWORD = "django.contrib.auth.backends.ModelBackend"


def test_a_visitor_signs_in_first_and_comes_back(browser):
    assert browser.get(PATH)["Location"] == f"/login/?next={PATH}"
    assert browser.submit(PATH)["Location"] == f"/login/?next={PATH}"


def test_codes_are_shown_once_in_the_answer_to_the_press(browser, clock):
    browser.sign_in(ADA)
    page = visit(browser, "/account/").press(browser, "Recovery codes and addresses")
    assert (page.status, page.name) == (200, "recovery_codes")
    assert "You have none yet." in page.words

    page = page.press(browser, "Make recovery codes")
    codes = codes_on(page.response)
    assert (page.status, page.name) == (200, "recovery_codes")
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", code) for code in codes)
    assert "no-store" in page.response["Cache-Control"]
    assert "http://testserver/login/recovery/" in page.words

    page = page.press(browser, "I have kept them")
    assert page.name == "account"
    page = visit(browser, PATH)
    assert codes_on(page.response) == []
    assert "Left 10 of 10" in page.words
    assert "Made May 1, 2026, noon UTC" in page.words


def test_nothing_keeps_a_code_but_the_page(browser, caplog):
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", "django")
    browser.sign_in(ADA)
    codes = make_codes(browser)
    visit(browser, PATH)

    kept = [*RecoveryCode.objects.values_list("digest", flat=True), *map(str, RecoveryCode.objects.all())]
    kept += [str(event.data) for event in Event.objects.all()] + [str(dict(browser.session))]
    kept += [outbox.last_message(ADA).body, str(outbox.last_message(ADA).alternatives), caplog.text]
    for code in codes:
        for form in (code, code.replace("-", ""), code.lower()):
            assert not [text for text in kept if form in text]


def test_a_template_that_goes_wrong_logs_no_codes(browser, caplog, settings, tmp_path):
    """Django logs the whole context of a name that a template gets wrong, at DEBUG."""
    (tmp_path / "passwordless_auth").mkdir()
    (tmp_path / "passwordless_auth" / "recovery_codes.html").write_text(
        "{% for code in codes %}<code data-code>{{ code }}</code>{% endfor %}{{ codes.wrong }}{{ nothing.at.all }}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    caplog.set_level("DEBUG", "django")
    browser.sign_in(ADA)
    codes = make_codes(browser)

    assert "nothing" in caplog.text
    assert not [code for code in codes if code in caplog.text]


def test_new_codes_kill_the_old_ones_and_every_address_is_told(browser, other_browser, clock):
    browser.sign_in(ADA)
    Identity.objects.create(
        user=User.objects.get(), kind="email", canonical="ada@work.example", proven_at=timezone.now()
    )
    old = make_codes(browser)
    page = visit(browser, PATH).press(browser, "Make new codes")
    new = codes_on(page.response)

    assert not set(old) & set(new)
    assert RecoveryCode.objects.count() == 10
    assert "10 new recovery codes were made" in outbox.last_message("ada@work.example").body
    assert recover(other_browser, old[0]).status_code == 400
    assert recover(other_browser, new[0]).status_code == 303
    assert [event.data for event in Event.objects.filter(kind="recovery_codes_made")] == [{"count": 10}] * 2


def test_how_many_there_are_is_a_setting(browser, settings):
    settings.PASSWORDLESS_AUTH_RECOVERY_CODE_COUNT = 3
    browser.sign_in(ADA)

    assert "You get 3 codes for paper." in visit(browser, PATH).words
    assert len(make_codes(browser)) == 3


def test_codes_outlive_the_key_that_issues(browser, other_browser, settings):
    browser.sign_in(ADA)
    codes = make_codes(browser)
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("k2", "k" * 40), *settings.PASSWORDLESS_AUTH_SECRET_KEYS]
    settings.PASSWORDLESS_AUTH_NEW_KEY_DELAY = 0

    assert recover(other_browser, codes[0]).status_code == 303


def test_a_digest_is_of_its_user_alone(browser):
    browser.sign_in(ADA)
    code = make_codes(browser)[0]
    user = User.objects.get()
    digests = set(RecoveryCode.objects.values_list("digest", flat=True))

    assert derivation.recovery_digest(code, user_id=user.pk, key_id="k1") in digests
    assert derivation.recovery_digest(code, user_id=user.pk + 1, key_id="k1") not in digests


@pytest.mark.parametrize(
    ("used", "told"), [(7, ""), (8, "Only 2 codes are left."), (9, "Only 1 code is left."), (10, "All codes are used.")]
)
def test_the_page_asks_for_new_codes_when_few_are_left(browser, used, told):
    browser.sign_in(ADA)
    make_codes(browser)
    spent = list(RecoveryCode.objects.values_list("pk", flat=True)[:used])
    RecoveryCode.objects.filter(pk__in=spent).update(used_at=timezone.now())
    page = visit(browser, PATH)

    assert f"Left {10 - used} of 10" in page.words
    assert told in page.words
    assert ("Make new ones before you need them." in page.words) == bool(told)


# -- who may


def test_an_account_without_an_authenticator_needs_a_recent_proof_of_its_mailbox(browser, clock):
    browser.sign_in(ADA)
    clock.shift(599)
    make_codes(browser)
    clock.shift(2)

    page = Page(browser.submit(PATH))
    assert (page.status, page.code) == (403, "step_up_required")
    page = visit(browser, PATH)
    assert "Make new codes" not in page.next_steps
    assert page.links["Confirm that it is you"] == f"/login/step-up/?next={PATH.replace('/', '%2F')}"
    page = page.press(browser, "Confirm that it is you")
    browser.submit("/login/step-up/", {"action": "message", "next": PATH})
    assert browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})["Location"] == PATH
    assert make_codes(browser)


@pytest.mark.parametrize("guard", ["passkey", "blocked passkey", "app"])
def test_what_an_authenticator_guards_a_mailbox_does_not_open(browser, guard):
    browser.sign_in(ADA)
    user = User.objects.get()
    if guard == "app":
        Totp.objects.create(user=user, confirmed=True)
    else:
        register(browser)
        Passkey.objects.update(confirmed=guard == "passkey")

    for data in ({"action": "make"}, {"action": "addresses"}):
        assert browser.submit(PATH, data).status_code == 403
    assert not RecoveryCode.objects.exists()
    assert Identity.objects.get().for_recovery
    assert "level=multi" in visit(browser, PATH).links["Confirm that it is you"]


def test_a_passkey_opens_it_for_ten_minutes(browser, clock):
    key = with_passkey(browser, ADA)
    sign_in(browser, key)
    clock.shift(599)
    make_codes(browser)
    clock.shift(2)

    assert browser.submit(PATH).status_code == 403


def test_a_session_that_other_code_made_confirms_first(client):
    user = User.objects.create_user("ada", ADA)
    Identity.objects.update(proven_at=timezone.now())
    client.force_login(user, backend=BY_PASSWORD)

    assert client.post(PATH).status_code == 403
    assert "Confirm that it is you" in visit(client, PATH).links


def test_after_a_report_nothing_changes(browser):
    browser.sign_in(ADA)
    now = timezone.now()
    Profile.objects.update(frozen_at=now, frozen_until=now + timezone.timedelta(hours=1))

    page = Page(browser.submit(PATH))
    assert (page.status, page.code) == (403, "step_up_required")
    assert "Changes to this account are stopped" in page.words
    assert not RecoveryCode.objects.exists()


def test_a_recovered_session_makes_no_codes_and_chooses_no_address(browser, other_browser):
    browser.sign_in(ADA)
    codes = make_codes(browser)
    recover(other_browser, codes[0])

    assert other_browser.get(PATH).status_code == 403
    for data in ({"action": "make"}, {"action": "addresses"}):
        page = Page(other_browser.submit(PATH, data))
        assert (page.status, page.code) == (403, "step_up_required")
    assert page.press(other_browser, "Go to sign-in").name == "login"
    assert RecoveryCode.objects.filter(used_at=None).count() == 9
    assert Identity.objects.get().for_recovery


# -- addresses


@pytest.fixture
def two_addresses(browser):
    browser.sign_in(ADA)
    user = User.objects.get()
    Identity.objects.create(user=user, kind="email", canonical="ada@work.example", proven_at=timezone.now())
    return {row.canonical: row for row in Identity.objects.all()}


def chosen():
    return set(Identity.objects.filter(for_recovery=True).values_list("canonical", flat=True))


def test_the_person_chooses_which_addresses_recover(browser, two_addresses):
    page = visit(browser, PATH)
    assert page.html.count(" checked") == 2
    named = two_addresses["ada@work.example"].public_id

    response = browser.submit(PATH, {"action": "addresses", "identity": [named]})
    assert response["Location"] == f"{PATH}?notice=addresses"
    assert chosen() == {"ada@work.example"}
    page = visit(browser, response["Location"])
    assert "Your choice is saved." in page.words
    assert page.html.count(" checked") == 1
    for address in two_addresses:
        assert "has chosen anew which of its addresses may recover it" in outbox.last_message(address).body
    assert Event.objects.get(kind="recovery_addresses_changed").data == {"more": 0, "fewer": 1}


def test_what_stays_as_it_was_is_no_news(browser, two_addresses):
    browser.submit(PATH, {"action": "addresses", "identity": [row.public_id for row in two_addresses.values()]})

    assert not Event.objects.filter(kind="recovery_addresses_changed").exists()
    assert chosen() == set(two_addresses)


@pytest.mark.parametrize("named", ["", "x", "x" * 22, "x" * 5000, "\0"])
def test_what_is_not_there_can_not_be_chosen(browser, two_addresses, named):
    other = User.objects.create_user("bob", "bob@example.com")
    Identity.objects.filter(user=other).update(for_recovery=False, proven_at=timezone.now())
    bobs = Identity.objects.get(user=other).public_id

    assert browser.submit(PATH, {"action": "addresses", "identity": [named, bobs]}).status_code == 303
    assert chosen() == set()


def test_an_unproven_address_is_not_offered_and_not_changed(browser, two_addresses):
    row = two_addresses["ada@work.example"]
    Identity.objects.filter(pk=row.pk).update(proven_at=None, for_recovery=False)

    assert row.public_id not in visit(browser, PATH).html
    browser.submit(PATH, {"action": "addresses", "identity": [row.public_id]})
    assert chosen() == set()


def test_who_is_guarded_by_more_is_told_that_addresses_do_not_help(browser, two_addresses):
    User.objects.update(is_staff=True)

    assert "an address alone cannot recover it" in visit(browser, PATH).words


# -- how the account stands


def outlook(browser):
    """``{part: color}``, the color of the whole, and the best next step."""
    page = visit(browser, "/account/")
    parts = dict(re.findall(r'data-part="(\w+)" data-color="(\w+)"', page.html))
    (whole,) = re.findall(r'data-outlook="(\w+)"', page.html)
    step = re.findall(r'data-next-step="(\w+)"', page.html)
    return parts, whole, "".join(step), page


def test_an_account_by_mail_alone(browser):
    browser.sign_in(ADA)
    parts, whole, step, page = outlook(browser)

    assert parts == {"devices": "red", "email": "green", "codes": "red"}
    assert (whole, step) == ("yellow", "add_passkey")
    for words in (
        "You have one good way back in.",
        "Missing Devices No passkey yet.",
        "Missing Recovery codes None left.",
    ):
        assert words in page.words
    assert "Good E-mail 1 address can recover your account." in page.words
    assert page.press(browser, "Best next: add a passkey").name == "passkeys"


@pytest.mark.parametrize(
    ("kinds", "color", "words", "step"),
    [
        ([{}], "yellow", "Fair Devices One passkey, on one device only.", "make_codes"),
        ([{"synced": True}], "green", "Good Devices A passkey that your password manager keeps for you.", "make_codes"),
        ([{}, {}], "green", "Good Devices 2 passkeys.", "make_codes"),
    ],
)
def test_passkeys(browser, kinds, color, words, step):
    browser.sign_in(ADA)
    for kind in kinds:
        key, _response = register(browser, Authenticator(**kind))
        sign_in(browser, key)
    parts, whole, next_step, page = outlook(browser)

    assert parts["devices"] == color
    assert whole == ("green" if color == "green" else "yellow")
    assert words in page.words
    assert next_step == step


def test_a_blocked_passkey_is_none(browser):
    with_passkey(browser, ADA)
    Passkey.objects.update(confirmed=False)

    assert outlook(browser)[0]["devices"] == "red"


@pytest.mark.parametrize(
    ("left", "color", "words"),
    [
        (3, "green", "3 are left."),
        (2, "yellow", "Only 2 are left. Make new ones before you need them."),
        (1, "yellow", "Only 1 is left."),
        (0, "red", "None left."),
    ],
)
def test_recovery_codes(browser, left, color, words):
    browser.sign_in(ADA)
    register(browser, Authenticator())
    make_some(left)
    parts, whole, step, page = outlook(browser)

    assert parts["codes"] == color
    assert words in page.words
    assert step == {"green": "add_second_passkey", "yellow": "make_new_codes", "red": "make_codes"}[color]
    assert whole == ("green" if color == "green" else "yellow")


def make_some(left):
    user = User.objects.get()
    for number in range(5):
        used = None if number < left else timezone.now()
        RecoveryCode.objects.create(user=user, digest=str(number), key_id="k1", used_at=used)


def test_everything_is_there(browser):
    browser.sign_in(ADA)
    make_some(5)
    register(browser, Authenticator(synced=True))
    parts, whole, step, page = outlook(browser)

    assert set(parts.values()) == {"green"}
    assert (whole, step) == ("green", "")
    assert "You get back in, even when you lose one of these." in page.words


def test_an_address_that_the_person_ruled_out_is_fair(browser):
    browser.sign_in(ADA)
    Identity.objects.update(for_recovery=False)
    make_some(5)
    register(browser, Authenticator(synced=True))
    parts, whole, step, page = outlook(browser)

    assert (parts["email"], whole, step) == ("yellow", "green", "choose_address")
    assert "You let no address recover your account." in page.words
    assert page.press(browser, "Best next: choose an address").name == "recovery_codes"


def test_who_is_guarded_by_more_is_not_asked_for_an_address(browser):
    browser.sign_in(ADA)
    User.objects.update(is_staff=True)
    make_some(5)
    register(browser, Authenticator(synced=True))
    parts, whole, step, page = outlook(browser)

    assert (parts["email"], whole, step) == ("yellow", "green", "")
    assert "an address alone cannot recover it" in page.words


def test_an_address_that_is_not_confirmed_is_missing_and_can_be_confirmed(client):
    client.force_login(User.objects.create_user("ada", ADA), backend=BY_PASSWORD)
    make_some(5)
    Passkey.objects.create(
        user=User.objects.get(), name="x", credential_digest="x", credential_id=b"x", public_key=b"x", algorithm=-7
    )
    parts, whole, step, page = outlook(client)

    assert (parts["email"], whole, step) == ("red", "yellow", "confirm_address")
    page = page.press(client, "Best next: confirm your address")
    assert (page.name, page.inputs["identifier"]["value"]) == ("login", ADA)


def test_a_number_is_a_way_back_of_its_own(browser, sms):
    browser.sign_in(ADA)
    number = Identity.objects.create(
        user=User.objects.get(), kind="phone", canonical=NUMBER, proven_at=timezone.now(), for_recovery=True
    )
    parts, whole, step, page = outlook(browser)

    assert parts == {"devices": "red", "email": "green", "phone": "green", "codes": "red"}
    assert whole == "green"
    assert "Good E-mail 1 address can recover your account." in page.words
    assert "Good Phone 1 number can recover your account." in page.words

    number.for_recovery = False
    number.save()
    make_some(5)
    register(browser, Authenticator(synced=True))
    parts, _whole, step, page = outlook(browser)
    assert (parts["email"], parts["phone"], step) == ("green", "yellow", "choose_address")
    assert "You let no number recover your account." in page.words


def test_who_has_a_number_alone_has_no_confirmed_mailbox(browser, sms):
    browser.start(NUMBER)
    browser.submit("/login/wait/", {"code": sms()[-1].code})
    parts, _whole, _step, page = outlook(browser)

    assert parts == {"devices": "red", "email": "red", "phone": "green", "codes": "red"}
    assert "Missing E-mail No confirmed address. Good Phone 1 number" in page.words
    make_some(5)
    register(browser, Authenticator())
    assert outlook(browser)[2] == "add_second_passkey"  # there is no address that could be confirmed


def test_the_number_that_can_be_confirmed_is_the_one_that_is_asked_for(browser, sms):
    browser.sign_in(ADA)
    Identity.objects.create(user=User.objects.get(), kind="phone", canonical=NUMBER)
    make_some(5)
    register(browser, Authenticator(synced=True))
    parts, _whole, step, page = outlook(browser)

    assert (parts["email"], parts["phone"], step) == ("green", "red", "confirm_address")
    assert "Missing Phone No confirmed number." in page.words
    page = page.press(browser, "Best next: confirm your address")
    assert (page.name, page.inputs["identifier"]["value"]) == ("login", "+49 1512 3456789")


def test_a_number_of_a_country_that_is_not_served_is_no_way_back(browser, sms, settings):
    browser.sign_in(ADA)
    Identity.objects.create(
        user=User.objects.get(), kind="phone", canonical=NUMBER, proven_at=timezone.now(), for_recovery=True
    )
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["US"]

    assert outlook(browser)[0] == {"devices": "red", "email": "green", "codes": "red"}


def test_who_is_guarded_by_more_is_told_that_a_number_does_not_help(browser, sms):
    browser.sign_in(ADA)
    User.objects.update(is_staff=True)
    Identity.objects.create(
        user=User.objects.get(), kind="phone", canonical=NUMBER, proven_at=timezone.now(), for_recovery=True
    )
    parts, whole, _step, page = outlook(browser)

    assert (parts["phone"], whole) == ("yellow", "red")
    assert "a number alone cannot recover it" in page.words


def test_who_has_nothing_has_no_way_back(client):
    client.force_login(User.objects.create_user("ada"), backend=BY_PASSWORD)
    parts, whole, step, page = outlook(client)

    assert set(parts.values()) == {"red"}
    assert (whole, step) == ("red", "add_passkey")
    assert "You have no good way back in yet." in page.words
    Passkey.objects.create(
        user=User.objects.get(), name="x", credential_digest="x", credential_id=b"x", public_key=b"x", algorithm=-7
    )
    make_some(5)
    assert outlook(client)[2] == "add_second_passkey"  # there is no address that could be confirmed


def test_a_recovered_person_sees_the_account_and_one_thing_to_do(browser, other_browser):
    browser.sign_in(ADA)
    codes = make_codes(browser)
    recover(other_browser, codes[0])
    parts, whole, step, page = outlook(other_browser)

    assert (parts["codes"], whole, step) == ("green", "green", "")
    assert "Now add a passkey" in page.words
    assert "ada@example.com" in page.words
    assert page.links.keys() == {"Testserver"} | {"Your passkeys"}
