"""A passkey on another device: a code on the first one, a number on the new one, and each in its own browser."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from passwordless_auth.models import Challenge, Delivery, Event, Passkey, Profile, SignIn
from passwordless_auth.testing import outbox
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import FAULTS_OF_CREATE
from tests.conftest import Browser
from tests.passkeys import ORIGIN, send, sign_in, with_passkey

from .pages import Page

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
FIRST = "/account/passkeys/other-device/"
NEW = "/enrol/"
PHONE = (
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Mobile Safari/537.36"
)


@pytest.fixture
def ada(browser):
    """Ada is signed in with her passkey, a moment ago."""
    authenticator = with_passkey(browser)
    assert sign_in(browser, authenticator).status_code == 200
    return authenticator


@pytest.fixture
def phone():
    return Browser(HTTP_USER_AGENT=PHONE, REMOTE_ADDR="198.51.100.7")


def shows_code(browser):
    """Press the button; returns the page with the code."""
    response = browser.submit(FIRST, {"action": "start"})
    assert response.status_code == 303, response.content
    return Page(browser.get(response["Location"]))


def link_on(page):
    """The path of the link under the code."""
    url = page.inputs["link"]["value"]
    assert url.startswith("http://testserver/enrol/")
    return url.removeprefix("http://testserver")


def scans(phone, browser):
    """Show the code here, open it there. Returns the page that the phone shows."""
    response = phone.get(link_on(shows_code(browser)))
    assert (response.status_code, response["Location"]) == (303, NEW)
    return Page(phone.get(NEW))


def claims(phone, page):
    """Press "Add this device". Returns the number that it shows."""
    response = phone.submit(NEW, page.forms[0].fields)
    assert response.status_code == 303, Page(response).words
    return number_on(Page(phone.get(NEW)))


def number_on(page):
    found = re.search(r'class="pa-number"[^>]*>(\d+)<', page.html)
    assert found, page.words
    return found[1]


def types(browser, number, action="approve", challenge=None):
    """Type the number on the first device. Returns the response."""
    challenge = challenge or Page(browser.get(FIRST)).forms[0].fields["challenge"]
    return browser.submit(FIRST, {"challenge": challenge, "action": action, "number": number})


def approved(phone, browser):
    assert types(browser, claims(phone, scans(phone, browser))).status_code == 303


def asks(phone):
    return send(phone, "/enrol/options/", {})


def registers(phone, authenticator=None, *, options=None, fault=None, query=""):
    authenticator = authenticator or Authenticator()
    answer = asks(phone) if options is None else None
    options = options or answer.json()
    assert "challenge" in options, options
    made = authenticator.create(options, origin=ORIGIN, **({"fault": fault} if fault else {}))
    return authenticator, send(phone, f"/enrol/register/{query}", made)


def step(browser, path=FIRST):
    return browser.get(f"{path}status.json").json().get("step")


def wrong(number):
    return f"{(int(number) + 1) % 1000:03}"


# -- the whole way


def test_the_other_device_gets_a_passkey_and_signs_in_with_it(browser, phone, ada):
    assert step(browser) == ""
    page = scans(phone, browser)
    assert step(browser) == "shown"
    assert "Add this device?" in page.words

    number = claims(phone, page)
    assert (step(browser), step(phone, NEW)) == ("claimed", "claimed")
    assert types(browser, number).status_code == 303
    assert (step(browser), step(phone, NEW)) == ("approved", "approved")
    assert "Add a passkey on this device" in phone.get(NEW).content.decode()
    authenticator, response = registers(phone)

    assert response.status_code == 200, response.content
    assert response.json()["next"] == NEW
    assert (step(browser), step(phone, NEW)) == ("added", "added")
    assert "The passkey was added" in Page(browser.get(FIRST)).words
    assert "This device can sign in now" in Page(phone.get(NEW)).words
    assert not phone.who()["authenticated"], "adding it signs nobody in"
    assert sign_in(phone, authenticator).status_code == 200
    assert phone.who()["user"]["email"] == ADA


def test_the_passkey_is_named_after_the_new_device_and_belongs_to_the_session_that_approved(browser, phone, ada):
    approved(phone, browser)
    registers(phone)

    row = Passkey.objects.latest("pk")
    assert row.name == "Passkey on Chrome · Android"
    assert row.enrolled_in == SignIn.objects.filter(ended_at=None).latest("pk")
    assert row.user.email == ADA


def test_every_address_is_told_and_one_press_takes_it_back(browser, phone, ada):
    approved(phone, browser)
    authenticator, _response = registers(phone)
    message = outbox.last_message(ADA)
    sign_in(phone, authenticator)
    assert message.subject == "A passkey was added to your account at Testserver"
    assert "Chrome on Android" in message.body

    owner = Browser()
    link = re.search(r"http://testserver(/login/report/\S+)", message.body)[1]
    page = Page(owner.get(link, follow=True))
    owner.submit("/login/report/", page.forms[0].fields)

    assert not phone.who()["authenticated"]
    assert not browser.who()["authenticated"], "the session that let it in"
    assert sign_in(phone, authenticator).json()["error"] == "credential_blocked"


def test_it_is_written_down(browser, phone, ada, caplog):
    caplog.set_level("INFO")
    approved(phone, browser)
    registers(phone)

    event = Event.objects.get(kind="other_device_approved")
    assert event.user.email == ADA
    assert event.data["device"] == {"browser": "Chrome", "os": "Android", "ip": "198.51.100.7"}
    assert Challenge.objects.get(purpose="enrol").link_token() not in caplog.text + str(Event.objects.values())


# -- the code


def test_the_code_is_a_picture_and_a_link_to_copy(browser, ada):
    page = shows_code(browser)

    assert '<svg viewBox="0 0' in page.html
    assert 'fill="#fff"' in page.html
    assert 'stroke="#000"' in page.html
    assert "readonly" in page.inputs["link"]
    assert "style=" not in page.html
    assert "5 minutes" in page.words


def test_the_picture_says_what_the_link_says(browser, ada):
    segno = pytest.importorskip("segno")
    page = shows_code(browser)

    url = "http://testserver" + link_on(page)
    drawn = re.search(r'<path stroke="#000" d="([^"]+)"', page.html)[1]
    assert drawn in segno.make(url, error="m", micro=False).svg_inline(border=4, dark="#000", light="#fff")


def test_the_token_can_not_be_guessed(browser, ada):
    first, second = (link_on(shows_code(browser)) for _ in range(2))

    assert first != second
    assert len(first.split("/")[-2]) == 65  # 128 random bits and a MAC of 256


def test_no_message_carries_it(browser, phone, ada):
    approved(phone, browser)
    outbox.send_queued()

    challenge = Challenge.objects.get(purpose="enrol")
    assert not any(challenge.link_token() in message.body for message in mail.outbox)
    assert not Delivery.objects.filter(challenge=challenge).exists()


def test_the_token_leaves_the_address_bar(browser, phone, ada):
    link = link_on(shows_code(browser))
    hop = phone.get(link)
    cookie = hop.cookies["passwordless_enrol"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (NEW, True, "Lax")
    page = phone.get(NEW)
    assert cookie.value in link
    assert cookie.value not in page.content.decode()
    for response in (hop, page):
        assert response["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]


def test_opening_it_does_nothing(browser, phone, ada):
    """Scanning alone opens nothing; nor do previews and scanners of links."""
    link = link_on(shows_code(browser))
    before = list(Challenge.objects.values())

    for _ in range(3):
        assert Page(phone.get(link, follow=True)).status == 200
        assert phone.head(NEW).status_code == 200
        assert phone.get("/enrol/status.json").json()["step"] == "shown"

    assert list(Challenge.objects.values()) == before
    assert asks(phone).json()["error"] == "wrong_browser"


def test_the_page_names_the_account_masked_and_the_one_who_is_signed_in_there(browser, phone, ada):
    page = scans(phone, browser)
    assert ADA not in page.words
    assert "a•••@" in page.words

    phone.sign_in("eve@example.com")
    assert "You are signed in here as eve@example.com" in Page(phone.get(NEW)).words


# -- who may show a code (XD-02)


def test_a_visitor_is_sent_to_sign_in(client):
    response = client.get(FIRST)

    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


def must_confirm(response):
    return response.status_code == 303 and response["Location"].startswith("/login/step-up/?")


def test_a_session_by_code_can_not(clock, browser, ada):
    clock.shift(120)
    by_code = Browser()
    by_code.sign_in(ADA)

    assert must_confirm(by_code.submit(FIRST, {"action": "start"}))
    assert not Challenge.objects.filter(purpose="enrol").exists()
    assert link_on(shows_code(browser))


def test_a_stale_session_can_not(clock, browser, ada):
    clock.shift(601)

    assert must_confirm(browser.submit(FIRST, {"action": "start"}))
    assert not Challenge.objects.filter(purpose="enrol").exists()
    assert sign_in(browser, ada, query="?step_up=1", step_up=True).status_code == 200
    assert link_on(shows_code(browser))


def test_somebody_else_sees_nothing_of_it_and_can_not_approve(browser, phone, ada):
    number = claims(phone, scans(phone, browser))
    challenge = Challenge.objects.get(purpose="enrol")
    eve = Browser()
    sign_in(eve, with_passkey(eve, "eve@example.com"))

    assert step(eve) == ""
    types(eve, number, challenge=challenge.public_id)

    challenge.refresh_from_db()
    assert challenge.approved_at is None
    assert challenge.tries == 0


def test_another_session_of_the_same_person_can_not_approve(browser, phone, ada):
    number = claims(phone, scans(phone, browser))
    challenge = Challenge.objects.get(purpose="enrol")
    laptop = Browser()
    assert sign_in(laptop, ada).status_code == 200

    assert step(laptop) == ""
    types(laptop, number, challenge=challenge.public_id)

    challenge.refresh_from_db()
    assert challenge.approved_at is None
    assert types(browser, number).status_code == 303
    assert step(browser) == "approved"


def test_the_new_device_can_not_approve_itself(browser, phone, ada):
    number = claims(phone, scans(phone, browser))

    assert phone.submit(FIRST, {"action": "approve", "number": number}).status_code == 302
    assert step(phone, NEW) == "claimed"


# -- who may take it up


def test_the_first_browser_that_claims_it_has_it(browser, phone, ada):
    link = link_on(shows_code(browser))
    claims(phone, Page(phone.get(link, follow=True)))
    other = Browser()

    page = Page(other.get(link, follow=True))
    assert (page.status, page.code) == (410, "spent")
    refused = other.submit(NEW, {"challenge": Challenge.objects.get(purpose="enrol").public_id})

    assert Page(refused).code == "spent"
    assert step(phone, NEW) == "claimed"
    assert other.get("/enrol/status.json").status_code == 403


def test_pressing_twice_is_no_harm(browser, phone, ada):
    page = scans(phone, browser)

    assert claims(phone, page) == claims(phone, page)


def test_the_browser_that_shows_the_code_can_not_take_it_up(browser, ada):
    link = link_on(shows_code(browser))

    page = Page(browser.get(link, follow=True))

    assert (page.status, page.code) == (403, "wrong_browser")
    assert "Open it on the device that you want to add" in page.words
    assert Page(browser.submit(NEW, {"challenge": link.split("/")[-2][:22]})).code == "wrong_browser"


def test_a_claim_alone_adds_nothing(browser, phone, ada):
    claims(phone, scans(phone, browser))

    assert (asks(phone).status_code, asks(phone).json()["error"]) == (403, "step_up_required")
    approved_ceremony = Authenticator()
    _authenticator, response = registers(phone, approved_ceremony, options=options_of_somebody())
    assert response.status_code in {400, 403}
    assert Passkey.objects.count() == 1


def options_of_somebody():
    stranger = Browser()
    stranger.sign_in("mallory@example.com")
    return send(stranger, "/account/passkeys/options/", {}).json()


def test_who_has_the_link_and_not_the_browser_can_not_go_on(browser, phone, ada):
    """The link was photographed: after the approval, too, it is of no use anywhere else."""
    link = link_on(shows_code(browser))
    phone.get(link)
    approve_number = claims(phone, Page(phone.get(NEW)))
    types(browser, approve_number)
    thief = Browser()
    thief.get(link)

    assert asks(thief).json()["error"] == "wrong_browser"
    assert Page(thief.get(NEW)).code == "spent"
    assert registers(phone)[1].status_code == 200


def test_who_has_the_browsers_key_and_not_the_link_can_not_go_on(browser, phone, ada):
    approved(phone, browser)
    phone.cookies.pop("passwordless_enrol")

    assert asks(phone).json()["error"] == "wrong_browser"
    assert Page(phone.get(NEW)).code == "wrong_browser"


# -- the number


def test_the_first_device_sees_who_claims_and_asks_for_the_number(browser, phone, ada):
    number = claims(phone, scans(phone, browser))
    page = Page(browser.get(FIRST))

    assert "Chrome on Android" in page.words
    assert "198.51.100.7" in page.words
    assert number not in page.words
    assert re.fullmatch(r"\d{3}", number)
    assert "You have 3 tries" in page.words
    assert "/enrol/" not in page.html, "the code is used up and not shown any more"


def test_a_wrong_number_is_told_and_the_right_one_still_works(browser, phone, ada):
    number = claims(phone, scans(phone, browser))

    page = Page(types(browser, wrong(number)))
    assert (page.status, page.code) == (400, "invalid_code")
    assert "not the number that the new device shows" in page.words
    assert "You have 2 tries" in page.words
    assert asks(phone).json()["error"] == "step_up_required"

    assert types(browser, number).status_code == 303
    assert asks(phone).status_code == 200


def test_three_wrong_numbers_and_it_is_dead(browser, phone, ada):
    number = claims(phone, scans(phone, browser))
    answers = [Page(types(browser, wrong(number))).code for _ in range(2)]
    challenge = Challenge.objects.get(purpose="enrol").public_id

    last = Page(types(browser, wrong(number)))
    after = Page(types(browser, number, challenge=challenge))

    assert answers == ["invalid_code"] * 2
    assert (last.code, last.status) == ("too_many_tries", 410)
    assert after.code == "too_many_tries"
    assert asks(phone).json()["error"] == "too_many_tries"
    assert Page(phone.get(NEW)).code == "too_many_tries"
    assert step(browser) == "dead"
    assert Event.objects.filter(kind="too_many_tries").count() == 1


@pytest.mark.parametrize("number", ["", " ", "abc", "12", "1234", "\0", "１２３", "9" * 500])
def test_what_is_no_number_is_a_wrong_one(browser, phone, ada, number):
    right = claims(phone, scans(phone, browser))

    page = Page(types(browser, number))

    assert (page.status, page.code) == (400, "invalid_code")
    assert types(browser, f" {right[0]} {right[1:]} ").status_code == 303
    assert step(browser) == "approved"


def test_before_a_claim_no_number_counts(browser, phone, ada):
    scans(phone, browser)
    challenge = Challenge.objects.get(purpose="enrol")

    page = Page(types(browser, challenge.code(), challenge=challenge.public_id))

    assert page.code == "invalid_code"
    assert step(browser) == "shown"


def test_not_mine_kills_it(browser, phone, ada):
    number = claims(phone, scans(phone, browser))
    challenge = Challenge.objects.get(purpose="enrol").public_id

    assert types(browser, "", action="deny").status_code == 303

    assert step(browser) == "stopped"
    assert "It was stopped" in Page(browser.get(FIRST)).words
    assert Page(phone.get(NEW)).code == "superseded"
    assert types(browser, number, challenge=challenge).status_code == 410
    assert asks(phone).json()["error"] == "superseded"
    assert Event.objects.get(kind="other_device_denied").data["device"]["os"] == "Android"


def test_it_can_be_stopped_after_the_approval(browser, phone, ada):
    approved(phone, browser)
    options = asks(phone).json()

    types(browser, "", action="deny")

    _authenticator, response = registers(phone, options=options)
    assert (response.status_code, response.json()["error"]) == (410, "superseded")
    assert Passkey.objects.count() == 1


# -- its end


def test_it_works_for_five_minutes(clock, browser, phone, ada):
    page = scans(phone, browser)
    clock.shift(299)
    assert types(browser, claims(phone, page)).status_code == 303
    options = asks(phone).json()
    clock.shift(1)

    assert asks(phone).json()["error"] == "expired"
    assert registers(phone, options=options)[1].json()["error"] == "expired"
    assert Page(phone.get(NEW)).code == "expired"
    assert step(browser) == "expired"
    assert "The time is over" in Page(browser.get(FIRST)).words
    assert Passkey.objects.count() == 1


def test_long_after_its_end_the_page_begins_anew(clock, browser, ada):
    shows_code(browser)
    clock.shift(901)

    page = Page(browser.get(FIRST))

    assert "Show the code" in page.words
    assert step(browser) == ""


def test_it_works_once(browser, phone, ada):
    approved(phone, browser)
    options = asks(phone).json()
    assert registers(phone)[1].status_code == 200

    _authenticator, again = registers(phone, options=options)

    assert (again.status_code, again.json()["error"]) == (410, "spent")
    assert asks(phone).json()["error"] == "spent"
    assert Passkey.objects.count() == 2


def test_a_passkey_that_is_refused_can_be_tried_once_more(browser, phone, ada):
    approved(phone, browser)

    _authenticator, refused = registers(phone, fault=FAULTS_OF_CREATE["another origin"])
    assert refused.json()["error"] == "invalid_credential"
    assert registers(phone)[1].status_code == 200


def test_a_newer_code_replaces_it(browser, phone, ada):
    page = scans(phone, browser)
    number = claims(phone, page)
    old = Challenge.objects.get(purpose="enrol").public_id
    shows_code(browser)

    assert Page(phone.get(NEW)).code == "superseded"
    types(browser, number, challenge=old)
    assert step(browser) == "shown"
    assert asks(phone).json()["error"] == "superseded"


def test_one_open_request_for_a_person(browser, ada):
    laptop = Browser()
    assert sign_in(laptop, ada).status_code == 200
    shows_code(browser)
    shows_code(laptop)

    assert Challenge.objects.filter(purpose="enrol", state="open").count() == 1
    assert step(browser) == "stopped"
    assert step(laptop) == "shown"


def test_signing_the_first_device_out_stops_it(browser, phone, ada):
    approved(phone, browser)
    options = asks(phone).json()

    browser.submit("/logout/")

    assert Page(phone.get(NEW)).code == "superseded"
    assert registers(phone, options=options)[1].json()["error"] == "superseded"
    assert Passkey.objects.count() == 1


def test_ending_the_session_elsewhere_stops_it(browser, phone, ada):
    page = scans(phone, browser)
    laptop = Browser()
    sign_in(laptop, ada)
    laptop.submit("/account/sessions/", {"scope": "others"})

    assert Page(phone.submit(NEW, page.forms[0].fields)).code == "superseded"


def test_deactivating_the_account_stops_it(browser, phone, ada):
    approved(phone, browser)
    options = asks(phone).json()
    user = User.objects.get()
    user.is_active = False
    user.save()

    assert registers(phone, options=options)[1].json()["error"] == "superseded"
    assert Passkey.objects.count() == 1


def test_an_account_that_was_deactivated_in_the_database_is_refused(browser, phone, ada):
    approved(phone, browser)
    options = asks(phone).json()
    User.objects.update(is_active=False)

    assert registers(phone, options=options)[1].json()["error"] == "disabled"


def test_deleting_the_account_stops_it(browser, phone, ada):
    approved(phone, browser)
    User.objects.all().delete()

    assert Page(phone.get(NEW)).code == "expired"
    assert asks(phone).json()["error"] == "expired"


def test_a_report_stops_it_and_what_it_let_in(browser, phone, ada):
    link = re.search(r"http://testserver(/login/report/\S+)", outbox.last_message(ADA).body)[1]
    approved(phone, browser)
    options = asks(phone).json()
    owner = Browser()
    page = Page(owner.get(link, follow=True))
    owner.submit("/login/report/", page.forms[0].fields)

    assert registers(phone, options=options)[1].json()["error"] == "superseded"
    assert not browser.who()["authenticated"]


def test_a_frozen_account_shows_no_code(clock, browser, ada):
    clock.shift(1)
    Profile.objects.update(frozen_at=timezone.now(), frozen_until=timezone.now() + timedelta(days=1))

    assert Page(browser.submit(FIRST, {"action": "start"})).code == "step_up_required"


# -- the front door: forms, scripts, garbage


@pytest.mark.parametrize("path", [FIRST, NEW])
def test_without_the_token_of_the_form_nothing_happens(browser, phone, ada, path):
    page = scans(phone, browser)
    who = browser if path == FIRST else phone
    fields = {"action": "start"} if path == FIRST else page.forms[0].fields

    refused = Page(who.post(path, {**fields, "csrfmiddlewaretoken": ""}))

    assert (refused.status, refused.code) == (403, "stale_page")
    assert Challenge.objects.filter(purpose="enrol").count() == 1
    assert step(browser) == "shown"


@pytest.mark.parametrize("path", ["/enrol/options/", "/enrol/register/"])
def test_scripts_of_other_sites_are_refused(browser, phone, ada, path):
    approved(phone, browser)

    for origin in ("https://evil.example", "null"):
        response = send(phone, path, {}, Origin=origin)
        assert (response.status_code, response.json()["error"]) == (403, "stale_page")
    assert phone.post(path, {"a": "b"}).status_code == 415
    assert asks(phone).status_code == 200


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", "1", '"x"', '{"id": 1}', "\xff", "[" * 5000, '{"a": NaN}', b"\xff\xfe"]
)
def test_garbage_is_refused(browser, phone, ada, body):
    approved(phone, browser)

    response = send(phone, "/enrol/register/", body)

    assert 400 <= response.status_code < 500
    assert response.json()["error"]
    assert Passkey.objects.count() == 1


@pytest.mark.parametrize("token", ["x", "x" * 65, "%00" * 30, "é" * 65, "../" * 9])
def test_a_link_of_nobody(phone, token):
    response = phone.get(f"/enrol/{token}/", follow=True)

    assert response.status_code in {400, 404, 410}
    if response.status_code != 404:
        assert Page(response).code in {"invalid_code", "expired"}


def test_a_link_that_was_changed(browser, phone, ada):
    link = link_on(shows_code(browser))
    changed = link[:50] + ("A" if link[50] != "A" else "B") + link[51:]

    assert Page(phone.get(changed, follow=True)).code == "invalid_code"
    assert asks(phone).json()["error"] == "invalid_code"


@pytest.mark.parametrize("cookie", ["", "x", "x" * 65, "é", "\\000"])
def test_a_cookie_of_nobody(phone, cookie):
    phone.cookies["passwordless_enrol"] = cookie

    for response in (phone.get(NEW), asks(phone), phone.get("/enrol/status.json"), phone.submit(NEW)):
        assert 400 <= response.status_code < 500, response.content


@pytest.mark.parametrize("data", [{}, {"challenge": ""}, {"challenge": "x" * 22}, {"challenge": "\0"}])
def test_a_press_that_names_no_request_claims_none(browser, phone, ada, data):
    scans(phone, browser)

    assert Page(phone.submit(NEW, data)).status == 200
    assert step(browser) == "shown"


@pytest.mark.parametrize("action", ["", "x", "approve", "deny", "\0"])
def test_odd_actions_do_nothing(browser, ada, action):
    assert browser.submit(FIRST, {"action": action}).status_code == 303
    assert not Challenge.objects.filter(purpose="enrol").exists()


def test_it_signs_nobody_in(browser, phone, ada):
    """SECURITY: the token invites a device. It is a proof of nothing, and neither is the number."""
    link = link_on(shows_code(browser))
    token = link.split("/")[-2]
    phone.get(link)
    number = claims(phone, Page(phone.get(NEW)))
    phone.get(f"/login/link/{token}/")

    for page in (
        Page(phone.get("/login/link/")),
        Page(phone.submit("/login/link/", {"challenge": token[:22], "action": "sign_in", "identifier": ADA})),
        Page(phone.submit("/login/wait/", {"challenge": token[:22], "code": number})),
        Page(phone.submit("/login/resend/", {"challenge": token[:22]})),
        Page(phone.get(f"/login/report/{token}/", follow=True)),
    ):
        assert page.code == "expired", page.words
    assert not phone.who()["authenticated"]
    assert step(browser) == "claimed"


def test_the_waiting_page_does_not_take_it_for_a_message(browser, phone, ada):
    claims(phone, scans(phone, browser))

    assert phone.get("/login/wait/")["Location"] == "/login/"


def test_a_limit_holds(settings, browser, ada):
    settings.PASSWORDLESS_AUTH_LIMIT_PASSKEY_STARTS_PER_IP = "3/h"
    codes = [browser.submit(FIRST, {"action": "start"}).status_code for _ in range(4)]

    assert codes[-1] == 429
    assert 303 in codes


def test_the_passkeys_page_leads_there(browser, ada):
    assert "Add a passkey on another device" in Page(browser.get("/account/passkeys/")).words


def test_the_answer_of_a_script_is_json(browser, phone, ada):
    claims(phone, scans(phone, browser))

    answer = json.loads(browser.get(f"{FIRST}status.json").content)

    assert answer["step"] == "claimed"
    assert 0 < answer["seconds_left"] <= 300
