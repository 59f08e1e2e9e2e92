"""The page that asks a signed-in person to confirm that it is them."""

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from passwordless_auth.models import Challenge, Delivery, Identity, Passkey, SignIn
from passwordless_auth.testing import (
    add_passkey,
    add_recovery_codes,
    add_totp,
    outbox,
    signed_in_client,
    totp_code,
)
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import IdentityFactory, UserFactory

from .. import passkeys
from ..totp import sign_in_with_app
from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture
def member(browser, clock):
    """A browser whose last proof is an hour old."""
    browser.sign_in(ADA)
    clock.shift(3600)
    return browser


def test_a_visitor_signs_in_first(browser):
    page = visit(browser, "/login/step-up/?next=/recent/")

    assert page.name == "login"
    assert page.inputs["next"]["value"] == "/login/step-up/?next=/recent/"


def test_the_page_says_where_the_message_will_go_and_sends_it(member):
    page = visit(member, "/recent/")

    assert (page.status, page.name) == (200, "step_up")
    assert "a•••@e•••.com" in page.words
    assert ADA not in page.html
    sent = Challenge.objects.count()

    (button,) = page.form(page.next_steps[1]).buttons
    page = page.press(member, button)

    assert page.name == "wait"
    assert "Confirm that it is you" in page.words
    assert Challenge.objects.count() == sent + 1
    assert page.press(member, "Cancel").name == "account"

    page = page.press(member, "Confirm", code=outbox.last_code(ADA))
    assert page.response.redirect_chain == [("/recent/", 303)]


def test_who_has_just_proven_it_is_not_asked(browser):
    browser.sign_in(ADA)

    assert browser.get("/login/step-up/?next=/members/")["Location"] == "/members/"
    assert browser.get("/login/step-up/")["Location"] == "/account/"


WORK = "ada@work.example.org"


@pytest.fixture
def member_of_two(member):
    """With a second address that signs in."""
    IdentityFactory(user=User.objects.get(), canonical=WORK)
    return member


def test_whose_mailbox_does_not_answer_is_offered_another_address_of_theirs(member_of_two):
    page = visit(member_of_two, "/recent/").press(member_of_two, "Send me the code")
    Delivery.objects.update(state="bounced")
    page = visit(member_of_two, page.response.request["PATH_INFO"] + "?" + page.response.request["QUERY_STRING"])

    page = page.press(member_of_two, "Choose another way")
    assert (page.name, WORK in page.html) == ("step_up", False)
    page = page.press(member_of_two, "Send it to a•••@w•••.org")
    assert (page.name, page.status) == ("wait", 200)
    assert WORK in page.words

    page = page.press(member_of_two, "Confirm", code=outbox.last_code(WORK))
    assert page.response.redirect_chain == [("/recent/", 303)]


def test_a_second_message_goes_to_the_address_that_was_chosen(member_of_two, clock):
    page = visit(member_of_two, "/recent/").press(member_of_two, "Send it to a•••@w•••.org")
    clock.shift(301)
    page = visit(member_of_two, "/login/wait/").press(member_of_two, "Send a new message")

    assert WORK in page.words


@pytest.mark.parametrize("flaw", [{"for_sign_in": False}, {"proven_at": None}, {"user": True}])
def test_no_address_is_asked_that_would_not_sign_in_to_this_account(member_of_two, flaw):
    if "user" in flaw:
        flaw = {"user": UserFactory(username="eve")}
    Identity.objects.filter(canonical=WORK).update(**flaw)
    assert "Send it to" not in visit(member_of_two, "/recent/").words

    work = Identity.objects.get(canonical=WORK).public_id
    for named in (work, "x", ""):
        member_of_two.submit("/login/step-up/", {"identity": named})
    assert {each.canonical for each in Challenge.objects.filter(purpose="step_up")} == {ADA}


@pytest.mark.parametrize("has_one", [True, False])
def test_who_waits_is_offered_a_passkey_where_they_have_one(member, has_one):
    if has_one:
        add_passkey(User.objects.get(), Authenticator())
    page = Page(member.submit("/login/step-up/", {"next": "/recent/"}, follow=True))

    assert page.name == "wait"
    assert ("Use a passkey instead" in page.html) is has_one


def test_the_link_confirms_here(member):
    member.submit("/login/step-up/", {"next": "/recent/"})
    page = visit(member, outbox.last_link(ADA))

    assert (page.name, page.words.count("Confirm that it is you")) == ("link", 1)
    assert page.press(member, "Confirm").response.redirect_chain == [("/recent/", 303)]


def test_the_link_confirms_nothing_elsewhere(member, other_browser):
    member.submit("/login/step-up/", {"next": "/recent/"})
    page = visit(other_browser, outbox.last_link(ADA))
    assert page.name == "link_elsewhere"
    assert page.next_steps[1:] == ["This wasn’t me"]

    form = page.form("This wasn’t me").fields
    page = Page(other_browser.post("/login/link/", {**form, "identifier": ADA, "action": "sign_in"}))

    assert (page.status, page.code) == (403, "wrong_browser")
    assert not other_browser.who()["authenticated"]
    assert Challenge.objects.latest("pk").state == "open"
    member.submit("/login/wait/", {"code": outbox.last_code(ADA)})
    assert member.get("/recent/").status_code == 200


def test_the_owner_of_the_mailbox_can_stop_it_elsewhere(member, other_browser):
    member.submit("/login/step-up/")
    page = visit(other_browser, outbox.last_link(ADA)).press(other_browser, "This wasn’t me", identifier=ADA)

    assert page.name == "denied"
    assert Page(member.submit("/login/wait/", {"code": outbox.last_code(ADA)})).code == "superseded"


def test_a_message_that_ran_out_is_replaced_by_one_press(member, clock):
    member.submit("/login/step-up/", {"next": "/recent/"})
    clock.shift(301)
    page = visit(member, "/login/wait/")
    assert page.code == "expired"

    page = page.press(member, "Send a new message")

    assert (page.name, page.inputs["next"]["value"]) == ("wait", "/recent/")
    assert Challenge.objects.latest("pk").purpose == "step_up"


def test_too_often_says_when_to_come_back(member):
    member.submit("/login/step-up/")
    page = Page(member.submit("/login/step-up/"))

    assert (page.status, page.name, page.code) == (429, "error", "too_many_requests")
    assert page.response["Retry-After"] == "60"


def test_who_has_nothing_to_confirm_with_is_told_so_and_signs_in_again(member):
    Identity.objects.update(for_sign_in=False)

    for page in (visit(member, "/recent/"), Page(member.submit("/login/step-up/", {"next": "/recent/"}))):
        assert (page.status, page.name, page.code) == (403, "step_up", "step_up_required")
        assert "Your account has no passkey yet" in page.words

    page = page.press(member, "Sign in again")
    assert (page.name, page.inputs["next"]["value"]) == ("login", "/recent/")
    assert not member.who()["authenticated"]


# -- what is offered: that which is enough, and nothing else


def offers(page):
    """The means on a page, hidden ones too: scripts show them."""
    return {
        "passkey": "data-passkey-sign-in" in page.html,
        "app": "code" in page.inputs,
        "message": "Send me the code" in page.next_steps,
        "enrol": "data-passkey-add" in page.html,
    }


def only(*names):
    return {name: name in names for name in ("passkey", "app", "message", "enrol")}


@pytest.mark.parametrize(
    ("path", "offered"),
    [
        ("/recent/", only("passkey", "app", "message")),
        ("/recent/multi/", only("passkey", "app")),
        ("/recent/phr/", only("passkey")),
    ],
)
def test_each_level_is_offered_what_reaches_it(browser, clock, path, offered):
    ada = UserFactory(email=ADA)
    add_passkey(ada)
    add_totp(ada)
    browser.cookies.update(signed_in_client(ada).cookies)
    clock.shift(3600)
    page = visit(browser, path)

    assert (page.status, page.name, page.code) == (200, "step_up", "")
    assert offers(page) == offered


def test_who_has_a_passkey_alone_is_offered_it_and_the_message(member):
    add_passkey(User.objects.get())

    assert offers(visit(member, "/recent/")) == only("passkey", "message")
    assert offers(visit(member, "/multi/")) == only("passkey")


@pytest.mark.parametrize("level", ["multi", "phr"])
def test_no_message_is_sent_where_it_would_not_be_enough(browser, clock, level):
    """MF-01: a step-up by code where a passkey is asked for is refused, and not only looked at as if it were none."""
    ada = UserFactory(email=ADA)
    authenticator = Authenticator()
    add_passkey(ada, authenticator)
    browser.cookies.update(signed_in_client(ada).cookies)
    sent = len(mail.outbox)
    page = Page(browser.submit("/login/step-up/", {"level": level, "next": f"/recent/{level}/"}))

    assert (page.status, page.name, page.code) == (403, "step_up", "step_up_required")
    assert (len(mail.outbox), Challenge.objects.count()) == (sent, 0)
    assert browser.get(f"/recent/{level}/").status_code == 302
    # And who leaves the level out, and gets a message, is no further.
    browser.submit("/login/step-up/", {"next": f"/recent/{level}/"})
    response = browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})
    assert response["Location"] == f"/recent/{level}/"
    assert browser.get(f"/recent/{level}/").status_code == 302


def test_who_signed_in_with_two_factors_is_asked_for_two_whatever_the_address_says(browser, clock):
    """MF-01: the level is a wish of the page before. What the account asks for counts beside it."""
    sign_in_with_app(browser, add_totp(UserFactory(email=ADA)))
    clock.shift(3600)
    sent = len(mail.outbox)

    assert offers(visit(browser, "/login/step-up/?next=/recent/")) == only("app")
    assert Page(browser.submit("/login/step-up/", {"next": "/recent/"})).code == "step_up_required"
    assert len(mail.outbox) == sent


def test_a_passkey_confirms_a_session_and_brings_back(browser, clock):
    ada = UserFactory(email=ADA)
    authenticator = Authenticator()
    add_passkey(ada, authenticator)
    browser.cookies.update(signed_in_client(ada).cookies)
    before = browser.cookies["sessionid"].value
    page = visit(browser, "/recent/phr/")
    assert 'data-step-up="1"' in page.html
    response = passkeys.sign_in(browser, authenticator, step_up=True, query="?step_up=1&next=/recent/phr/")

    assert response.json() == {"next": "/recent/phr/"}
    assert browser.get("/recent/phr/").status_code == 200
    assert browser.cookies["sessionid"].value != before
    assert SignIn.objects.get().methods == ["one_time_code", "passkey"]


def test_a_session_that_a_passkey_made_needs_a_message_before_the_code_of_an_app(browser, clock, settings):
    """An app is a second factor: this morning's passkey is not the first one."""
    ada = UserFactory(email=ADA)
    app = add_totp(ada)
    browser.cookies.update(signed_in_client(ada, "phr").cookies)
    Passkey.objects.all().delete()
    clock.shift(3600)
    page = visit(browser, "/recent/multi/")
    assert offers(page) == only("message")
    assert "First a message to your address" in page.words
    page = page.press(browser, "Send me the code")
    page = page.press(browser, "Confirm", code=outbox.last_code(ADA))
    assert (page.name, offers(page)) == ("step_up", only("app"))
    page = page.press(browser, "Confirm", code=totp_code(app))

    assert page.response.redirect_chain == [("/recent/multi/", 303)]
    assert b"hello" in browser.get("/recent/multi/").content


def test_after_the_message_the_code_of_the_app_is_asked_for_wherever_it_leads(browser, clock):
    ada = UserFactory(email=ADA)
    add_totp(ada)
    browser.cookies.update(signed_in_client(ada, "phr").cookies)
    Passkey.objects.all().delete()
    clock.shift(3600)
    page = visit(browser, "/login/step-up/?level=multi&next=/account/").press(browser, "Send me the code")
    page = page.press(browser, "Confirm", code=outbox.last_code(ADA))

    assert (page.name, offers(page)) == ("step_up", only("app"))


def test_the_first_passkey_may_be_added_here_shortly_after_the_sign_in(browser, clock):
    browser.sign_in(ADA)
    page = visit(browser, "/phr/")
    assert (page.status, offers(page)) == (200, only("enrol"))
    assert 'data-next="/login/step-up/?level=phr&amp;next=%2Fphr%2F"' in page.html
    authenticator, response = passkeys.register(browser)
    assert response.status_code == 200

    assert offers(visit(browser, "/phr/")) == only("passkey")
    passkeys.sign_in(browser, authenticator, step_up=True, query="?step_up=1&next=/phr/")
    assert browser.get("/phr/").status_code == 200


def test_who_signed_in_too_long_ago_for_a_first_passkey_signs_in_again(member):
    page = visit(member, "/phr/")

    assert (page.status, page.code, offers(page)) == (403, "step_up_required", only())
    assert page.next_steps[1:] == ["Sign in again", "Cancel"]
    page = page.press(member, "Sign in again")
    assert (page.name, page.inputs["next"]["value"]) == ("login", "/phr/")


def test_who_has_only_blocked_passkeys_is_told_what_is_left(member):
    Passkey.objects.filter(pk=add_passkey(User.objects.get()).pk).block(now=timezone.now())
    page = visit(member, "/phr/")

    assert (page.status, page.code, offers(page)) == (403, "step_up_required", only())
    assert "Use a recovery code" in page.words
    assert page.links["Lost your device?"] == "/login/recovery/?next=%2Fphr%2F"


def test_a_recovered_session_is_offered_a_passkey_and_nothing_else(browser):
    ada = UserFactory(email=ADA)
    (code, *_more) = add_recovery_codes(ada)
    browser.submit("/login/recovery/", {"identifier": ADA, "code": code})

    assert offers(visit(browser, "/login/step-up/")) == only("enrol")


def test_a_session_that_other_code_made_signs_in_with_its_passkey(browser):
    """There is no sign-in to confirm: the passkey begins one."""
    ada = UserFactory(email=ADA)
    authenticator = Authenticator()
    add_passkey(ada, authenticator)
    add_totp(ada)
    browser.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    page = visit(browser, "/recent/")
    assert offers(page) == only("passkey", "message")
    assert "data-step-up" not in page.html
    assert Page(browser.submit("/login/step-up/", {"action": "totp", "code": "123456"})).code == "step_up_required"

    assert passkeys.sign_in(browser, authenticator, query="?next=/recent/").json() == {"next": "/recent/"}
    assert browser.get("/recent/").status_code == 200


@pytest.mark.parametrize("wish", ["", "x", "PHR", "\0", "ü" * 3000])
def test_a_wish_that_is_no_level_is_none(member, wish):
    page = Page(member.get("/login/step-up/", {"level": wish}))

    assert (page.status, offers(page)) == (200, only("message"))


@pytest.mark.parametrize("action", ["", "x", "message", "\0"])
def test_every_action_but_that_of_the_app_sends_a_message(member, action):
    assert member.submit("/login/step-up/", {"action": action})["Location"].startswith("/login/wait/")


def test_the_time_of_a_session_that_ended_is_over(member, other_browser, clock):
    """What was asked of it is answered for nobody."""
    ada = User.objects.get()
    app = add_totp(ada)
    page = visit(member, "/recent/")
    signed_in_client(ada, "multi").post("/account/sessions/", {"scope": "others"})
    page = page.press(member, "Confirm", code=totp_code(app))

    assert page.name == "login"
