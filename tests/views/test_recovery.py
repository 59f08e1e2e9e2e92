"""Getting back in: by a recovery code, or by an address that may recover."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from passwordless_auth import derivation, signals
from passwordless_auth.models import Challenge, Event, Identity, Passkey, Profile, RecoveryCode, SignIn
from passwordless_auth.testing import outbox
from tests.passkeys import register, sign_in, with_passkey
from tests.recovery import ask_address, make_codes, recover, recover_by_address

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture
def ada(browser, clock):
    """Ada has an account, and is signed in with ``browser``, an hour after she signed up."""
    browser.sign_in(ADA)
    clock.shift(3600)
    browser.sign_in(ADA)
    clock.shift(61)
    return User.objects.get()


@pytest.fixture
def codes(browser, ada):
    return make_codes(browser)


# -- the page


def test_the_sign_in_page_leads_there_and_keeps_where_the_person_was_going(browser):
    page = visit(browser, "/members/").press(browser, "Lost your device?")

    assert (page.status, page.name) == (200, "recovery")
    assert page.links["Back to sign-in"] == "/login/?next=%2Fmembers%2F"
    assert page.inputs["next"]["value"] == "/members/"
    assert page.inputs["code"]["autocomplete"] == "off"


def test_who_is_signed_in_is_told_so(browser):
    browser.sign_in(ADA)
    page = visit(browser, "/login/recovery/")

    assert "This browser is signed in as ada@example.com." in page.words
    assert page.press(browser, "Your account").name == "account"


def test_an_address_can_be_handed_over_but_not_next_to_elsewhere(browser):
    page = visit(browser, "/login/recovery/?identifier=ada@example.com&next=https://evil.example/")

    assert page.inputs["identifier"]["value"] == ADA
    assert "next" not in page.inputs


@pytest.mark.parametrize(
    ("identifier", "code", "told"),
    [
        ("ada at example", "AAAA-AAAA-AAAA-AAAA", "invalid_identifier"),
        ("", "AAAA-AAAA-AAAA-AAAA", "invalid_identifier"),
        (ADA, "", "invalid_code"),
        (ADA, "x" * 65, "invalid_code"),
        (ADA, "AAAA\0AAAA", "invalid_code"),
        (ADA, "ÄÖÜ ١٢٣ 🦊", "invalid_code"),
        ("a" * 300 + "@example.com", "x", "invalid_identifier"),
    ],
)
def test_what_can_not_be_right_is_said_beside_its_field(browser, identifier, code, told):
    response = recover(browser, code, identifier)

    page = Page(response)
    assert (page.status, page.name, page.code) == (400, "recovery", told)
    field = "identifier" if told == "invalid_identifier" else "code"
    assert page.inputs[field]["aria-invalid"] == "true"
    assert page.inputs["identifier"]["value"] == identifier
    assert "value" not in page.inputs["code"]


def test_where_there_are_no_passkeys_there_is_no_recovery(browser, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code"]
    browser.sign_in(ADA)

    assert browser.get("/login/recovery/").status_code == 404
    assert browser.get("/account/recovery-codes/").status_code == 404
    assert "Lost your device?" not in visit(browser, "/login/").links
    page = visit(browser, "/account/")
    assert "Recovery codes" not in page.words
    assert "E-mail 1 address can recover your account." in page.words


def test_without_recovery_codes_the_page_offers_the_address_alone(browser, settings, ada):
    code = make_codes(browser)[0]
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code", "passkey"]
    page = visit(browser, "/login/recovery/")

    assert "code" not in page.inputs
    assert "Send me a message" in page.next_steps
    assert recover(browser, code).status_code == 400
    assert browser.submit("/account/recovery-codes/", {"action": "make"}).status_code == 404


# -- by a code


def test_a_code_recovers_the_account_and_leads_to_the_passkeys(codes, other_browser):
    response = recover(other_browser, codes[3], next="/members/")

    assert (response.status_code, response["Location"]) == (303, "/account/passkeys/?next=%2Fmembers%2F")
    assert other_browser.who()["level"] == "recovered"
    assert other_browser.who()["methods"] == ["recovery_code"]
    assert other_browser.who()["user"]["email"] == ADA
    sign_in_row = SignIn.objects.latest("pk")
    assert [(proof.method, proof.amr) for proof in sign_in_row.all_proofs()] == [("recovery_code", ("otp",))]
    assert RecoveryCode.objects.filter(used_at=None).count() == 9
    assert Event.objects.get(kind="recovery_code_used").data == {"left": 9}


@pytest.mark.parametrize(
    "typed",
    [
        lambda code: code,
        lambda code: code.lower(),
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f"  {code[:7]}—{code[7:]} ",
        lambda code: code.replace("O", "0").replace("I", "1").replace("B", "8"),
        lambda code: "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in code),
    ],
)
def test_how_a_code_is_typed_makes_no_difference(ada, other_browser, typed):
    code = "OIB2-AAIO-7B3Q-ZZZZ"
    digest = derivation.recovery_digest(code, user_id=ada.pk, key_id="k1")
    RecoveryCode.objects.create(user=ada, digest=digest, key_id="k1")

    assert recover(other_browser, typed(code)).status_code == 303


def test_the_address_may_be_any_proven_one_of_the_account(codes, ada, other_browser):
    Identity.objects.create(user=ada, kind="email", canonical="ada@work.example", proven_at=timezone.now())

    assert recover(other_browser, codes[0], "Ada@Work.example").status_code == 303


def test_an_address_that_somebody_wrote_into_the_account_names_nothing(codes, ada, other_browser):
    Identity.objects.create(user=ada, kind="email", canonical="bob@example.com", origin="host")
    assert recover(other_browser, codes[0], "bob@example.com").status_code == 400

    Identity.objects.filter(canonical="bob@example.com").update(origin="import")
    assert recover(other_browser, codes[0], "bob@example.com").status_code == 303


def test_a_code_works_once(codes, other_browser):
    assert recover(other_browser, codes[0]).status_code == 303
    other_browser.submit("/logout/")

    assert recover(other_browser, codes[0]).status_code == 400
    assert recover(other_browser, codes[1]).status_code == 303


@pytest.mark.django_db(transaction=True)
def test_a_code_that_is_used_again_is_told_to_the_log(codes, other_browser, caplog):
    recover(other_browser, codes[0])
    caplog.set_level("INFO", "passwordless_auth.events")
    caplog.clear()
    recover(other_browser, codes[0])

    assert [record.event for record in caplog.records if hasattr(record, "event")] == ["answer_replayed", "wrong_code"]
    assert codes[0] not in caplog.text


def test_a_disabled_account_is_told_to_who_holds_a_code_which_stays_good(codes, ada, other_browser):
    ada.is_active = False
    ada.save()
    page = Page(recover(other_browser, codes[0]))
    assert (page.status, page.name, page.code) == (403, "error", "disabled")
    assert not other_browser.who()["authenticated"]

    ada.is_active = True
    ada.save()
    assert recover(other_browser, codes[0]).status_code == 303


def test_another_persons_code_is_a_wrong_one(codes, other_browser, clock):
    other_browser.sign_in("bob@example.com")
    bobs = make_codes(other_browser)
    other_browser.submit("/logout/")

    assert recover(other_browser, codes[0], "bob@example.com").status_code == 400
    assert recover(other_browser, bobs[0], "bob@example.com").status_code == 303


def test_every_address_of_the_person_is_told_at_once(codes, ada, other_browser):
    Identity.objects.create(user=ada, kind="email", canonical="ada@work.example", proven_at=timezone.now())
    Identity.objects.create(user=ada, kind="email", canonical="unproven@example.com")
    recover(other_browser, codes[0])

    for address in (ADA, "ada@work.example"):
        message = outbox.last_message(address)
        assert message.subject == "A recovery code of your account at Testserver was used"
        assert "9 codes are left." in message.body
        assert "Firefox on Linux" in message.body
        assert "Make new ones" not in message.body
        assert codes[0] not in message.body
    with pytest.raises(AssertionError, match="No message"):
        outbox.last_message("unproven@example.com")


@pytest.mark.parametrize(
    ("used", "told"),
    [(7, "3 codes are left."), (8, "2 codes are left. Make new ones"), (10, "That was the last code.")],
)
def test_the_notice_asks_for_new_codes_when_few_are_left(codes, ada, other_browser, used, told):
    RecoveryCode.objects.filter(
        pk__in=list(RecoveryCode.objects.order_by("-pk").values_list("pk", flat=True)[: used - 1])
    ).update(used_at=timezone.now())
    assert recover(other_browser, codes[0]).status_code == 303

    assert told in outbox.last_message(ADA).body
    assert ("Make new ones" in outbox.last_message(ADA).body) == (used >= 8)


def test_this_was_not_me_ends_the_session_and_voids_the_paper(codes, other_browser, browser):
    recover(other_browser, codes[0])
    link = outbox.last_message(ADA).body.split("/login/report/")[1].split()[0]
    page = visit(browser, f"/login/report/{link}")
    assert "A recovery code of your account at Testserver was used" in page.words
    page = page.press(browser, "This wasn’t me")
    assert "Recovery codes" in page.words

    assert not other_browser.who()["authenticated"]
    assert recover(other_browser, codes[1]).status_code == 400
    assert not RecoveryCode.objects.filter(used_at=None).exists()


# -- by an address


def test_an_address_that_the_person_chose_recovers_by_the_code_of_a_message(ada, browser, other_browser):
    page = visit(other_browser, "/login/recovery/?next=/members/")
    page = page.press(other_browser, "Send me a message", identifier=ADA)
    assert (page.status, page.name) == (200, "wait")
    assert "Recover my account" in page.next_steps
    message = outbox.last_message(ADA)
    assert message.subject == f"{outbox.last_code(ADA)} recovers your account at Testserver"
    assert "Firefox on Linux" in message.body

    page = page.press(other_browser, "Recover my account", code=outbox.last_code(ADA))
    assert page.response.redirect_chain == [("/account/passkeys/?next=%2Fmembers%2F", 303)]
    assert other_browser.who()["level"] == "recovered"
    assert other_browser.who()["methods"] == ["one_time_code"]
    assert Event.objects.filter(kind="account_recovered", user=ada).count() == 1
    assert outbox.last_message(ADA).subject == "Your account at Testserver was recovered"


def test_by_the_link_of_the_message_in_the_browser_that_asked(ada, other_browser):
    ask_address(other_browser)
    other_browser.get(outbox.last_link(ADA))
    page = visit(other_browser, "/login/link/")
    assert page.name == "link"
    assert "Recover your account" in page.words
    page.press(other_browser, "Recover my account")

    assert other_browser.who()["level"] == "recovered"


def test_in_no_other_browser(ada, browser, other_browser):
    ask_address(other_browser)
    browser.submit("/logout/")
    browser.get(outbox.last_link(ADA))
    page = visit(browser, "/login/link/")
    assert page.name == "link_elsewhere"
    named = Challenge.objects.latest("pk").public_id

    for path, data in (
        ("/login/link/", {"challenge": named, "action": "sign_in", "identifier": ADA}),
        ("/login/wait/", {"challenge": named, "code": outbox.last_code(ADA)}),
    ):
        assert browser.submit(path, data).status_code == 403
        assert not browser.who()["authenticated"]


def test_every_address_is_told_the_one_that_recovered_too(ada, other_browser):
    Identity.objects.create(user=ada, kind="email", canonical="ada@work.example", proven_at=timezone.now())
    recover_by_address(other_browser)

    for address in (ADA, "ada@work.example"):
        assert outbox.last_message(address).subject == "Your account at Testserver was recovered"


def is_staff(user):
    User.objects.filter(pk=user.pk).update(is_staff=True)


def has_a_minimum_level(user):
    Profile.objects.filter(user=user).update(minimum_level="phr")


def has_an_app(user):
    Profile.objects.filter(user=user).update(has_totp=True)


def chose_against_it(user):
    Identity.objects.filter(user=user).update(for_recovery=False)


def is_not_proven(user):
    Identity.objects.filter(user=user).update(proven_at=None)


def has_stopped_changes(user):
    now = timezone.now()
    Profile.objects.filter(user=user).update(frozen_at=now, frozen_until=now + timezone.timedelta(hours=1))


@pytest.mark.parametrize(
    "person", [is_staff, has_a_minimum_level, has_an_app, chose_against_it, is_not_proven, has_stopped_changes]
)
def test_who_may_not_recover_by_address_is_told_so_in_the_message_and_nowhere_else(ada, other_browser, person):
    person(ada)
    assert ask_address(other_browser).status_code == 303
    message = outbox.last_message(ADA)
    assert message.subject == "This address cannot recover an account at Testserver"
    assert "Do you have a recovery code?" in message.body
    code = Challenge.objects.latest("pk").code()
    assert code not in message.body + message.alternatives[0][0]

    # Even who guesses the code that nobody was sent comes to nothing.
    page = Page(other_browser.submit("/login/wait/", {"code": code}))
    assert (page.status, page.code) == (403, "disabled")
    assert not other_browser.who()["authenticated"]


def test_a_level_that_a_group_needs_is_found_out_at_the_end(ada, other_browser, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_GROUPS = {"editors": "multi"}
    ada.groups.create(name="editors")
    response = recover_by_address(other_browser)

    assert (response.status_code, Page(response).code) == (403, "disabled")
    assert "This address cannot recover an account here." in Page(response).words
    assert not other_browser.who()["authenticated"]


@pytest.mark.parametrize("person", [is_staff, has_a_minimum_level, has_an_app, chose_against_it])
def test_by_a_recovery_code_all_of_them_may(ada, browser, other_browser, person):
    codes = make_codes(browser)
    person(ada)

    assert recover(other_browser, codes[0]).status_code == 303
    assert other_browser.who()["level"] == "recovered"


def test_an_unknown_address_gets_a_message_too_and_no_account(other_browser):
    assert ask_address(other_browser, "nobody@example.com").status_code == 303
    message = outbox.last_message("nobody@example.com")
    assert message.subject == "This address cannot recover an account at Testserver"
    assert "There is no account for this address." in message.body

    code = Challenge.objects.get().code()
    assert other_browser.submit("/login/wait/", {"code": code}).status_code == 403
    assert not User.objects.exists()


def test_a_disabled_account_is_told_as_at_the_sign_in(ada, other_browser):
    User.objects.update(is_active=False)
    ask_address(other_browser)
    assert outbox.last_message(ADA).subject == "Your account at Testserver is switched off"

    code = Challenge.objects.latest("pk").code()
    page = Page(other_browser.submit("/login/wait/", {"code": code}))
    assert (page.status, page.code) == (403, "disabled")


def test_a_choice_that_changes_before_the_code_is_typed_counts(ada, other_browser):
    ask_address(other_browser)
    code = outbox.last_code(ADA)
    chose_against_it(ada)

    assert other_browser.submit("/login/wait/", {"code": code}).status_code == 403


def test_a_message_that_ran_out_is_asked_for_again_from_its_page(ada, other_browser, clock):
    ask_address(other_browser, next="/members/")
    clock.shift(301)
    page = Page(other_browser.submit("/login/wait/", {"code": outbox.last_code(ADA)}))
    assert page.code == "expired"

    page = page.press(other_browser, "Send a new message")
    assert page.name == "wait"
    page.press(other_browser, "Recover my account", code=outbox.last_code(ADA))
    assert other_browser.who()["level"] == "recovered"


def test_a_code_for_one_purpose_is_wrong_for_the_other(ada, other_browser, clock):
    ask_address(other_browser)
    for_recovery = outbox.last_code(ADA)
    clock.shift(61)
    other_browser.start(ADA)

    response = other_browser.submit("/login/wait/", {"code": for_recovery})
    assert response.status_code == 400
    assert not other_browser.who()["authenticated"]


# -- what a recovery stops


def test_messages_that_are_on_their_way_open_nothing_any_more(codes, browser, other_browser, clock):
    browser.submit("/logout/")
    browser.start(ADA)
    waiting = Challenge.objects.latest("pk")
    assert recover(other_browser, codes[0]).status_code == 303

    waiting.refresh_from_db()
    assert waiting.state == Challenge.State.CANCELLED
    assert browser.submit("/login/wait/", {"code": waiting.code()}).status_code == 410


def test_the_other_person_of_this_browser_is_signed_out_and_leaves_nothing(codes, other_browser):
    other_browser.sign_in("bob@example.com")
    session = other_browser.session
    session["basket"] = ["book"]
    session.save()
    assert recover(other_browser, codes[0]).status_code == 303

    assert other_browser.who()["user"]["email"] == ADA
    assert "basket" not in other_browser.session
    assert SignIn.objects.get(user__email="bob@example.com").end_reason == "replaced"


# -- and on


def test_a_passkey_is_added_and_opens_everything(codes, other_browser, client):
    recover(other_browser, codes[0], next="/members/")
    page = visit(other_browser, "/account/passkeys/?next=/members/")
    assert "Now add a passkey" in page.words
    assert other_browser.get("/members/").status_code == 302
    key, response = register(other_browser)
    assert response.status_code == 200

    page = visit(other_browser, "/account/passkeys/?notice=added&next=/members/")
    assert "One step is left: sign in with your passkey" in page.words
    assert "step_up=1" in page.html
    old_key = other_browser.cookies["sessionid"].value
    response = sign_in(other_browser, key, query="?step_up=1&next=/members/", step_up=True)

    assert response.json() == {"next": "/members/"}
    assert other_browser.get("/members/").status_code == 200
    assert other_browser.who()["level"] == "phr"
    assert SignIn.objects.latest("pk").methods == ["recovery_code", "passkey"]
    assert other_browser.cookies["sessionid"].value != old_key
    client.cookies["sessionid"] = old_key
    assert not client.get("/login/session.json").json()["authenticated"]


def test_an_old_passkey_that_was_found_opens_it_too(browser, other_browser, clock):
    key = with_passkey(browser, ADA)
    sign_in(browser, key)
    codes = make_codes(browser)
    recover(other_browser, codes[0])
    assert "Have you found a device with a passkey of yours?" in visit(other_browser, "/account/passkeys/").html

    assert sign_in(other_browser, key, query="?step_up=1", step_up=True).status_code == 200
    assert other_browser.who()["level"] == "phr"


def test_a_signed_in_person_is_told_once_that_they_are(codes, other_browser):
    """``signed_in`` is sent when the passkey has proven, not for the recovery."""
    seen = []

    def note(sign_in, **_kwargs):
        seen.append(sign_in.level)

    signals.signed_in.connect(note)
    try:
        recover(other_browser, codes[0])
        key, _response = register(other_browser)
        assert seen == []
        sign_in(other_browser, key, query="?step_up=1", step_up=True)
    finally:
        signals.signed_in.disconnect(note)
    assert seen == ["phr"]


def test_a_message_to_a_mailbox_does_not_end_a_recovery(ada, other_browser, clock):
    recover_by_address(other_browser)
    clock.shift(61)
    page = visit(other_browser, "/login/step-up/")
    assert "Send me" not in " ".join(page.next_steps)
    assert other_browser.submit("/login/step-up/", {"action": "message"}).status_code == 403

    assert other_browser.who()["level"] == "recovered"


def test_a_recovered_session_lasts_an_hour(codes, other_browser, clock):
    recover(other_browser, codes[0])
    clock.shift(3590)
    assert other_browser.who()["authenticated"]
    clock.shift(20)

    assert not other_browser.who()["authenticated"]
    assert not Passkey.objects.exists()
