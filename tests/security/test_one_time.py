"""A code and a link work once, here, now, and only the newest (OT)."""

import base64
import hashlib

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from passwordless_auth.flows import login_link
from passwordless_auth.models import Challenge, SignIn
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .conftest import (
    copy_of,
    error_code,
    guess,
    link_of,
    member,
    newest,
    open_link,
    page,
    press,
    stranger,
    wrong_code,
)

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
BOB = "bob@example.com"


# -- OT-01: only the newest


def test_asking_twice_leaves_only_the_second_message_good(browser, clock):
    """OT-01"""
    browser.start()
    first = newest()
    clock.shift(61)
    browser.start()

    late = browser.submit("/login/wait/", {"code": first.code(), "challenge": first.public_id})
    assert (late.status_code, error_code(late)) == (410, "superseded")
    link = browser.get(f"/login/link/{first.link_token()}/", follow=True)
    assert (link.status_code, error_code(link)) == (410, "superseded")
    pressed = browser.submit("/login/link/", {"challenge": first.public_id, "action": "sign_in"})
    assert (pressed.status_code, error_code(pressed)) == (410, "superseded")
    assert guess(browser, first.code()).status_code == 400  # the old code is no answer to the new question
    assert not browser.who()["authenticated"]

    assert guess(browser, newest().code()).status_code == 303
    assert browser.who()["authenticated"]


def test_the_same_message_again_holds_the_same_code_and_link(browser, clock):
    """OT-01: "send it again" is no new question; whichever copy arrives first works."""
    browser.start()
    first = outbox.last_code(ADA), outbox.last_link(ADA)
    clock.shift(61)
    browser.submit("/login/resend/", {"challenge": newest().public_id})

    assert (outbox.last_code(ADA), outbox.last_link(ADA)) == first
    assert Challenge.objects.count() == 1
    assert guess(browser, first[0]).status_code == 303


def test_code_and_link_of_one_message_spend_each_other(browser, clock):
    """OT-01"""
    browser.start()
    assert guess(browser, newest().code()).status_code == 303
    browser.submit("/logout/")
    assert open_link(browser).status_code == 410

    clock.shift(61)
    browser.start()
    open_link(browser)
    assert press(browser).status_code == 303
    browser.submit("/logout/")
    assert guess(browser, newest().code()).status_code == 410
    assert not browser.who()["authenticated"]


def test_newest_only_holds_for_each_browser_apart(browser, other_browser, clock):
    """OT-01: a second device, or a stranger, does not take the first one's message away."""
    browser.start()
    first = newest()
    clock.shift(61)
    other_browser.start()

    assert guess(other_browser, newest().code()).status_code == 303
    assert browser.submit("/login/wait/", {"code": first.code(), "challenge": first.public_id}).status_code == 303
    assert browser.who()["authenticated"]
    assert other_browser.who()["authenticated"]


# -- two tabs, two addresses


def test_two_tabs_with_two_addresses_are_told_apart(browser):
    """OT-02: each tab's form names its question."""
    browser.start(ADA)
    browser.start(BOB)
    ada, bob = newest(ADA), newest(BOB)
    crossed = browser.submit("/login/wait/", {"code": bob.code(), "challenge": ada.public_id})
    assert (crossed.status_code, error_code(crossed)) == (400, "invalid_code")

    assert browser.submit("/login/wait/", {"code": ada.code(), "challenge": ada.public_id}).status_code == 303
    assert browser.who()["user"]["email"] == ADA
    assert browser.submit("/login/wait/", {"code": bob.code(), "challenge": bob.public_id}).status_code == 303
    assert browser.who()["user"]["email"] == BOB


def test_a_form_that_names_no_question_means_the_newest_of_this_browser(browser):
    """OT-02"""
    browser.start(ADA)
    browser.start(BOB)
    assert browser.submit("/login/wait/", {"code": newest(ADA).code()}).status_code == 400
    assert browser.submit("/login/wait/", {"code": newest(BOB).code()}).status_code == 303

    assert browser.who()["user"]["email"] == BOB


def test_each_tabs_waiting_page_names_its_own_address(browser):
    """OT-02"""
    tabs = [browser.start(address)["Location"] for address in (ADA, BOB)]

    for tab, mine, other in ((tabs[0], ADA, BOB), (tabs[1], BOB, ADA)):
        text = browser.get(tab).content.decode()
        assert mine in text
        assert other not in text


def test_two_links_in_one_browser_are_told_apart(browser):
    """OT-08: the button signs in whom the page names, not whose link was opened last."""
    browser.start(ADA)
    browser.start(BOB)
    open_link(browser, ADA)
    open_link(browser, BOB)

    shown = press(browser, ADA)
    assert shown.status_code == 200
    assert BOB in shown.content.decode()
    assert not browser.who()["authenticated"]
    assert press(browser, BOB).status_code == 303
    assert browser.who()["user"]["email"] == BOB


# -- OT-02: the browser that asked


def test_the_right_code_is_refused_in_a_browser_that_did_not_ask(browser):
    """OT-02: also when it names the attempt."""
    browser.start()
    challenge = newest()
    thief = stranger()

    named = thief.submit("/login/wait/", {"code": challenge.code(), "challenge": challenge.public_id})
    assert (named.status_code, error_code(named)) == (403, "wrong_browser")
    unnamed = thief.submit("/login/wait/", {"code": challenge.code()})
    assert (unnamed.status_code, error_code(unnamed)) == (410, "expired")
    queried = thief.submit(f"/login/wait/?challenge={challenge.public_id}", {"code": challenge.code()})
    assert queried.status_code == 403
    assert not thief.who()["authenticated"]
    assert SignIn.objects.count() == 0

    assert guess(browser, challenge.code()).status_code == 303


def test_another_browser_learns_nothing_of_an_attempt_by_its_id(browser):
    """OT-02"""
    browser.start()
    thief = stranger()
    thief.start(BOB)
    public_id = newest().public_id
    answers = [
        thief.get(f"/login/wait/?challenge={public_id}"),
        thief.get(f"/login/wait/status.json?challenge={public_id}"),
        thief.submit("/login/resend/", {"challenge": public_id}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert not any("ada@" in answer.content.decode() for answer in answers)
    assert newest().deliveries.count() == 1


@pytest.mark.parametrize("key", ["", "short", "x" * 43, "\u00e9" * 43, "A" * 44, "{digest}"])
def test_the_browsers_key_can_not_be_made_up(browser, key):
    """OT-02: the digest that the row holds is not the key."""
    browser.start()
    thief = stranger()
    thief.cookies["passwordless_browser"] = key.format(digest=newest().browser_digest)

    assert guess(thief, newest().code()).status_code == 403
    assert not thief.who()["authenticated"]


def test_a_browser_without_a_key_owns_no_attempt_without_a_browser(browser):
    """OT-02: no key must never equal no browser."""
    user = member()
    login_link.make(user, reason="a test")
    challenge = newest()
    Challenge.objects.update(accepts_code=True)
    visitor = stranger()

    assert guess(visitor, challenge.code()).status_code == 403
    assert visitor.get("/login/wait/").status_code == 303
    assert not visitor.who()["authenticated"]


# -- OT-04: replay


def test_a_used_code_is_refused_also_after_signing_out(browser):
    """OT-04"""
    browser.start()
    code = newest().code()
    assert guess(browser, code).status_code == 303
    again = guess(browser, code)
    assert (again.status_code, error_code(again)) == (410, "spent")

    browser.submit("/logout/")
    again = guess(browser, code)
    assert (again.status_code, error_code(again)) == (410, "spent")
    assert not browser.who()["authenticated"]
    assert SignIn.objects.count() == 1


def test_a_used_link_is_refused_also_after_signing_out(browser):
    """OT-04"""
    browser.start()
    link = link_of()
    browser.get(link)
    cookies = copy_of(browser)
    assert press(browser).status_code == 303
    assert browser.cookies["passwordless_link"].value == ""
    browser.submit("/logout/")

    again = browser.get(link, follow=True)
    assert (again.status_code, error_code(again)) == (410, "spent")
    assert press(browser).status_code == 410
    assert press(cookies).status_code == 410
    assert not browser.who()["authenticated"]
    assert not cookies.who()["authenticated"]
    assert SignIn.objects.count() == 1


def test_a_used_link_is_refused_elsewhere(browser, other_browser):
    """OT-04"""
    browser.start()
    open_link(other_browser)
    open_link(browser)
    assert press(browser).status_code == 303

    late = press(other_browser)
    assert (late.status_code, error_code(late)) == (410, "spent")
    assert not other_browser.who()["authenticated"]


def test_a_code_for_one_purpose_confirms_nothing_else(browser, clock):
    """OT-04: signing in and confirming have answers of their own, under keys of their own."""
    browser.sign_in()
    clock.shift(700)
    assert browser.submit("/login/step-up/").status_code == 303
    confirm = newest()
    clock.shift(61)
    other = stranger()
    other.start()
    sign_in = newest()

    assert (confirm.purpose, sign_in.purpose) == ("step_up", "sign_in")
    as_sign_in = Challenge.objects.get(pk=confirm.pk)
    as_sign_in.purpose = "sign_in"
    assert as_sign_in.code() != confirm.code()
    assert as_sign_in.link_token() != confirm.link_token()
    crossed = browser.submit("/login/wait/", {"code": sign_in.code(), "challenge": confirm.public_id})
    assert crossed.status_code == 400
    assert other.submit("/login/wait/", {"code": confirm.code(), "challenge": sign_in.public_id}).status_code == 400
    assert browser.submit("/login/wait/", {"code": confirm.code(), "challenge": confirm.public_id}).status_code == 303


def test_a_step_up_can_not_be_finished_in_another_browser(browser, other_browser, clock):
    """OT-04: it would raise a session that is somewhere else, or make a second one."""
    browser.sign_in()
    clock.shift(700)
    browser.submit("/login/step-up/")
    open_link(other_browser)

    assert press(other_browser).status_code == 403
    assert not other_browser.who()["authenticated"]
    open_link(browser)
    assert press(browser).status_code == 303
    assert SignIn.objects.count() == 1


def test_a_step_up_is_finished_in_the_session_that_asked(browser, clock):
    """OT-04: the browser alone is not enough: another profile's copy of its key, after "sign out", or a shared desk."""
    browser.sign_in()
    clock.shift(700)
    browser.submit("/login/step-up/")
    confirm = newest()
    key_alone = stranger()
    key_alone.cookies["passwordless_browser"] = browser.cookies["passwordless_browser"].value

    late = key_alone.submit("/login/wait/", {"code": confirm.code(), "challenge": confirm.public_id})
    assert (late.status_code, error_code(late)) == (410, "superseded")
    assert not key_alone.who()["authenticated"]
    assert "sessionid" not in key_alone.cookies
    assert browser.submit("/login/wait/", {"code": confirm.code(), "challenge": confirm.public_id}).status_code == 303
    assert browser.get("/recent/").status_code == 200


def test_a_step_up_of_one_session_does_not_raise_another(browser, clock):
    """OT-04: the person has signed out, and somebody else in, since it was asked."""
    browser.sign_in()
    clock.shift(700)
    browser.submit("/login/step-up/")
    confirm = newest()
    browser.submit("/logout/")
    browser.sign_in(BOB)

    late = browser.submit("/login/wait/", {"code": confirm.code(), "challenge": confirm.public_id})
    assert (late.status_code, error_code(late)) == (410, "superseded")
    assert browser.who()["user"]["email"] == BOB


# -- OT-07: mail scanners


def test_scanners_that_open_the_link_spend_nothing(browser):
    """OT-07: HEAD, GET twice, OPTIONS, the page behind it, all its buttons; then the person."""
    browser.start()
    link = link_of()
    scanner = stranger()
    bare = Browser(HTTP_USER_AGENT="")
    for visitor in (scanner, bare):
        for method in ("head", "get", "get", "options"):
            answer = getattr(visitor, method)(link)
            assert answer.status_code in {200, 303}
        visitor.get("/login/link/")
        visitor.head("/login/link/")
        visitor.options("/login/link/")
    for action in ("sign_in", "deny"):
        assert scanner.submit("/login/link/", {"challenge": newest().public_id, "action": action}).status_code == 400
    assert (
        scanner.submit("/login/link/", {"challenge": newest().public_id, "identifier": "x@example.com"}).status_code
        == 400
    )
    challenge = newest()
    assert (challenge.state, challenge.tries) == ("open", 0)
    assert not scanner.who()["authenticated"]

    open_link(browser)
    assert press(browser).status_code == 303
    assert browser.who()["authenticated"]


def test_opening_the_link_where_it_was_asked_signs_nobody_in(browser):
    """OT-07"""
    browser.start()
    for _turn in range(10):
        assert open_link(browser).status_code == 200

    assert not browser.who()["authenticated"]
    assert newest().state == "open"


def test_a_link_without_its_cookie_is_worth_nothing(browser):
    """OT-07: a scanner that keeps no cookies presses the button."""
    browser.start()
    bare = stranger()
    answer = bare.submit("/login/link/", {"challenge": newest().public_id, "identifier": ADA, "action": "sign_in"})

    assert answer.status_code == 403
    assert newest().state == "open"


# -- OT-08: a link that somebody else sent


def test_an_attackers_link_signs_nobody_in_by_being_opened(browser):
    """OT-08: the page names whose account it is, and one press is not enough."""
    attacker = stranger()
    attacker.start("mallory@example.com")
    shown = open_link(browser, "mallory@example.com")

    assert page(shown) == "link_elsewhere"
    assert "m•••@e•••.com" in shown.content.decode()
    assert "mallory@example.com" not in shown.content.decode()
    assert not browser.who()["authenticated"]
    for typed in ("", ADA, "m•••@e•••.com"):
        assert press(browser, "mallory@example.com", identifier=typed).status_code == 400
    assert not browser.who()["authenticated"]


def test_a_link_is_spent_only_with_a_csrf_token(browser):
    """OT-08"""
    browser.start()
    open_link(browser)
    body = {"challenge": newest().public_id, "action": "sign_in", "identifier": ADA}

    assert browser.post("/login/link/", body).status_code == 403
    assert newest().state == "open"
    assert press(browser).status_code == 303
    assert browser.who()["authenticated"]


def test_a_link_that_no_browser_asked_for_names_the_account_and_takes_a_button(browser):
    """OT-08: an administrator's."""
    user = member()
    url = login_link.make(user, reason="a test")
    shown = browser.get(url.removeprefix("http://testserver"), follow=True)

    assert page(shown) == "link"
    assert ADA in shown.content.decode()
    assert "data-auto-submit" not in shown.content.decode()
    assert not browser.who()["authenticated"]
    assert browser.post("/login/link/", {"challenge": newest().public_id, "action": "sign_in"}).status_code == 403
    assert press(browser).status_code == 303
    assert browser.who()["user"]["email"] == ADA


def test_signing_in_elsewhere_drops_what_the_asker_wanted(browser, other_browser):
    """OT-08: where to go was the asker's word, and the asker may be an attacker."""
    other_browser.start(next="/members/?from=the-asker")
    open_link(browser)
    answer = press(browser)

    assert answer["Location"] == reverse("passwordless_auth:account")
    assert browser.who()["authenticated"]
    assert not other_browser.who()["authenticated"]


def test_the_owner_of_the_mailbox_can_stop_an_attempt(browser, other_browser):
    """OT-08: "this wasn't me" kills code and link."""
    attacker = other_browser
    attacker.start()
    challenge = newest()
    open_link(browser)
    assert press(browser, action="deny").status_code == 200

    late = attacker.submit("/login/wait/", {"code": challenge.code(), "challenge": challenge.public_id})
    assert (late.status_code, error_code(late)) == (410, "superseded")
    assert open_link(browser).status_code == 410
    assert not attacker.who()["authenticated"]


# -- OT-10: time


@pytest.mark.parametrize("door", ["code", "link", "link elsewhere"])
@pytest.mark.parametrize(("seconds", "works"), [(295, True), (299, True), (300, False), (301, False), (86400, False)])
def test_code_and_link_live_five_minutes(browser, other_browser, clock, door, seconds, works):
    """OT-10"""
    browser.start()
    visitor = other_browser if door == "link elsewhere" else browser
    if door != "code":
        visitor.get(link_of())
    clock.shift(seconds)

    answer = guess(browser, newest().code()) if door == "code" else press(visitor)
    if works:
        assert answer.status_code == 303
    else:
        assert (answer.status_code, error_code(answer)) == (410, "expired")
    assert visitor.who()["authenticated"] is works


def test_a_link_that_lives_longer_than_its_code_keeps_its_own_time(settings, browser, clock):
    """OT-10"""
    settings.PASSWORDLESS_AUTH_CODE_LIFETIME = 180
    browser.start()
    settings.PASSWORDLESS_AUTH_CODE_LIFETIME = 600  # a row on its way keeps what it was made with
    clock.shift(200)

    assert (guess(browser, newest().code()).status_code, error_code(guess(browser, newest().code()))) == (
        410,
        "expired",
    )
    open_link(browser)
    assert press(browser).status_code == 303


def test_sending_again_does_not_make_it_live_longer(browser, clock):
    """OT-10"""
    browser.start()
    clock.shift(280)
    assert browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 303
    clock.shift(21)

    assert guess(browser, newest().code()).status_code == 410
    assert open_link(browser).status_code == 410
    assert browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 410


# -- OT-16: what the browser that asks gets to see


def digests(secret):
    """A secret and all that may stand for it."""
    yield secret
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, secret.encode(), usedforsecurity=False)
        yield digest.hexdigest()
        yield base64.b64encode(digest.digest()).decode().rstrip("=")
        yield base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")


def test_no_answer_to_who_asks_holds_code_link_or_a_digest_of_either(settings, browser, clock):
    """OT-16: start, the waiting page, its status, asking again, a wrong code."""
    settings.PASSWORDLESS_AUTH_CODE_ALPHABET = "letters"
    settings.PASSWORDLESS_AUTH_CODE_LENGTH = 12
    first = browser.start()
    answers = [first, browser.get(first["Location"]), browser.get("/login/wait/status.json")]
    answers.append(browser.submit("/login/wait/", {"code": "B" * 12}))
    clock.shift(61)
    answers.append(browser.submit("/login/resend/", {"challenge": newest().public_id}))
    answers.append(browser.get(answers[-1]["Location"]))
    clock.shift(61)
    answers.append(browser.start())
    seen = "\n".join(
        f"{dict(answer.headers)} {answer.cookies.output()} {answer.content.decode()}" for answer in answers
    ).lower()

    secrets = [
        text for row in Challenge.objects.all() for text in (row.code(), row.link_token(), row.link_token()[22:])
    ]
    assert len(secrets) == 6
    assert newest().public_id.lower() in seen
    for secret in secrets:
        for text in digests(secret):
            assert text.lower() not in seen


def test_the_browsers_cookie_is_opaque_and_out_of_reach_of_scripts(browser, other_browser):
    """OT-16"""
    cookies = [
        visitor.start(ADA if visitor is browser else BOB).cookies["passwordless_browser"]
        for visitor in (browser, other_browser)
    ]

    assert len({cookie.value for cookie in cookies}) == 2
    for cookie in cookies:
        assert len(cookie.value) == 43
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"
        assert not cookie["domain"]
    assert cookies[0].value not in str(list(Challenge.objects.values()))


def test_an_account_made_by_a_first_sign_in_is_named_by_the_proven_address_alone(browser):
    """OT-02: who somebody is comes from the stored attempt and from no field of a request."""
    browser.start(ADA)
    guess(browser, newest().code(), identifier="admin@example.com", user="1", email=BOB, username="root")

    assert browser.who()["user"]["email"] == ADA
    assert get_user_model().objects.count() == 1


def test_a_wrong_code_says_how_many_tries_are_left_and_nothing_else(browser):
    """OT-16"""
    browser.start()
    answer = guess(browser, wrong_code())

    assert "2 tries left" in answer.content.decode()
    assert newest().code() not in answer.content.decode()
