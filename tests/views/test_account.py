"""The pages of who is signed in: account, sessions, signing out; and what a script may ask."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from passwordless_auth.models import Challenge, Identity, Profile, SignIn
from passwordless_auth.testing import outbox

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
BY_PASSWORD = "django.contrib.auth.backends.ModelBackend"


@pytest.mark.parametrize("path", ["/account/", "/account/sessions/"])
def test_a_visitor_signs_in_first_and_comes_back(browser, path):
    assert browser.get(path)["Location"] == f"/login/?next={path}"


# -- account


def test_the_account_page_says_who_is_signed_in_and_how(browser, clock):
    browser.sign_in(ADA)
    page = visit(browser, "/account/")

    assert (page.status, page.name) == (200, "account")
    assert "You are signed in as ada@example.com." in page.words
    assert "Main address" in page.words
    assert "Confirmed" in page.words
    assert "Code from a message" in page.words
    assert "May 1, 2026, noon UTC" in page.words
    assert page.links["Everywhere you are signed in"] == "/account/sessions/"

    page = page.press(browser, "Sign out")
    assert page.name == "signed_out"
    assert not browser.who()["authenticated"]


def test_an_address_that_nobody_has_proven_is_shown_as_such(client):
    client.force_login(User.objects.create_user("ada", ADA), backend=BY_PASSWORD)
    page = visit(client, "/account/")

    assert "Not confirmed yet" in page.words
    assert "You signed in another way than by these pages." in page.words


def test_who_has_no_address_is_told_so(client):
    client.force_login(User.objects.create_user("ada"), backend=BY_PASSWORD)
    page = visit(client, "/account/")

    assert "You are signed in as ada." in page.words
    assert "This account has no address to sign in with." in page.words


# -- sessions


@pytest.fixture
def three(browser, other_browser, clock):
    """Three browsers of one person; ``browser`` signed in last."""
    from tests.conftest import Browser

    third = Browser(HTTP_USER_AGENT="", REMOTE_ADDR="2001:db8::7")
    for one in (third, other_browser, browser):
        one.sign_in(ADA)
        clock.shift(61)
    return browser, other_browser, third


def alive(browsers):
    return [browser.who()["authenticated"] for browser in browsers]


def test_the_list_shows_every_session_this_one_first(three):
    page = visit(three[0], "/account/sessions/")

    assert (page.status, page.name) == (200, "sessions")
    names = ["Chrome on Windows", "Firefox on Linux", "Unknown browser"]
    assert [page.words.index(name) for name in names] == sorted(page.words.index(name) for name in names)
    assert page.words.count("This browser") == 1
    assert "2001:db8::7" in page.words
    assert len(SignIn.objects.live()) == 3
    for sign_in in SignIn.objects.all():
        assert sign_in.public_id in page.html
        assert sign_in.session_key() not in page.html


def test_one_session_is_ended(three):
    other = SignIn.objects.get(user_agent__contains="Firefox")

    response = three[0].submit("/account/sessions/", {"sign_in": other.public_id})

    assert response["Location"] == "/account/sessions/"
    assert alive(three) == [True, False, True]
    other.refresh_from_db()
    assert other.end_reason == "ended_by_user"


def test_ending_this_session_signs_out(three):
    this = SignIn.objects.get(user_agent__contains="Chrome")

    response = three[0].submit("/account/sessions/", {"sign_in": this.public_id})

    assert response["Location"] == "/logout/done/"
    assert alive(three) == [False, True, True]
    this.refresh_from_db()
    assert this.end_reason == "signed_out"


def test_all_others_are_ended(three):
    page = visit(three[0], "/account/sessions/").press(three[0], "Sign out everywhere else")

    assert page.name == "sessions"
    assert alive(three) == [True, False, False]
    assert "Sign out everywhere else" not in page.next_steps


def test_everywhere_is_everywhere_and_stops_what_is_on_its_way(three, clock):
    three[1].start(ADA)

    page = visit(three[0], "/account/sessions/").press(three[0], "Sign out everywhere")

    assert (page.name, page.status) == ("signed_out", 200)
    assert page.response.redirect_chain == [("/logout/done/?everywhere=1", 303)]
    assert alive(three) == [False, False, False]
    assert Challenge.objects.latest("pk").state == "cancelled"
    assert set(SignIn.objects.values_list("end_reason", flat=True)) == {"everywhere"}


@pytest.mark.parametrize("scope", ["others", "everywhere"])
def test_sessions_that_other_code_made_end_too_unless_they_have_a_password_of_their_own(browser, client, scope):
    browser.sign_in(ADA)
    user = User.objects.get()
    client.force_login(user, backend=BY_PASSWORD)
    assert client.get("/members/").status_code == 200

    browser.submit("/account/sessions/", {"scope": scope})

    assert client.get("/members/").status_code == 302
    assert browser.who()["authenticated"] == (scope == "others")
    user.refresh_from_db()
    assert not user.has_usable_password()


@pytest.mark.parametrize("scope", ["others", "everywhere"])
def test_a_password_that_the_person_chose_is_left_alone(browser, scope):
    browser.sign_in(ADA)
    user = User.objects.get()
    user.set_password("correct horse")
    user.save(update_fields=["password"])
    browser.cookies.clear()
    browser.sign_in("bob@example.com")
    user.refresh_from_db()
    other = type(browser)()
    other.force_login(user, backend=BY_PASSWORD)

    other.submit("/account/sessions/", {"scope": scope})

    user.refresh_from_db()
    assert user.check_password("correct horse")
    assert not SignIn.objects.live().filter(user=user).exists()
    assert SignIn.objects.live().count() == 1  # Bob's


@pytest.mark.parametrize("named", ["", "x", "x" * 22, "x" * 5000])
def test_a_session_that_is_not_there_is_no_error(three, named):
    assert three[0].submit("/account/sessions/", {"sign_in": named}).status_code == 303
    assert alive(three) == [True, True, True]


def test_sessions_that_have_run_out_are_not_listed(three, clock):
    SignIn.objects.filter(user_agent="").update(last_seen_at=timezone.now() - timedelta(hours=13))

    assert "Unknown browser" not in visit(three[0], "/account/sessions/").words


def test_a_person_without_a_session_of_ours_sees_an_empty_list(client):
    client.force_login(User.objects.create_user("ada", ADA), backend=BY_PASSWORD)
    page = visit(client, "/account/sessions/")

    assert "No sign-in by these pages is alive." in page.words
    assert page.next_steps[1:] == ["Back to your account"]


# -- signing out


def test_signing_out_takes_a_press(browser):
    browser.sign_in(ADA)
    page = visit(browser, "/logout/?next=/open/")

    assert (page.status, page.name) == (200, "logout_confirm")
    assert browser.who()["authenticated"]
    assert page.press(browser, "Stay signed in").name == "account"

    response = page.response.client.post("/logout/", page.form("Sign out").fields)
    assert (response.status_code, response["Location"]) == (303, "/open/")
    assert not browser.who()["authenticated"]
    assert SignIn.objects.get().end_reason == "signed_out"


def test_who_is_signed_out_already_is_told_so(browser):
    page = visit(browser, "/logout/")

    assert (page.status, page.name) == (200, "signed_out")
    assert browser.submit("/logout/")["Location"] == "/logout/done/"


def test_who_is_signed_in_is_not_told_the_contrary(browser):
    browser.sign_in(ADA)

    assert visit(browser, "/logout/done/").name == "account"


def test_signed_out_is_signed_out_everywhere_only_if_it_was(browser):
    here = visit(browser, "/logout/done/")
    everywhere = visit(browser, "/logout/done/?everywhere=1")

    assert here.words != everywhere.words
    assert here.links.keys() == everywhere.links.keys()


# -- session.json


def test_a_script_learns_that_nobody_is_here(browser):
    response = browser.get("/login/session.json")

    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    assert response.json() == {
        "authenticated": False,
        "user": None,
        "methods": [],
        "level": None,
        "auth_time": None,
    }


def test_a_script_learns_who_is_here(browser, clock):
    browser.sign_in(ADA)

    assert browser.who() == {
        "authenticated": True,
        "user": {"id": Profile.objects.get().handle, "name": ADA, "email": ADA},
        "methods": ["one_time_code"],
        "level": "single",
        "auth_time": int(timezone.now().timestamp()),
    }
    assert browser.who()["user"]["id"] != str(User.objects.get().pk)


def test_a_session_that_other_code_made_has_no_level(client):
    client.force_login(User.objects.create_user("ada"), backend=BY_PASSWORD)
    answer = client.get("/login/session.json").json()

    assert answer == {
        "authenticated": True,
        "user": {"id": Profile.objects.get().handle, "name": "ada", "email": None},
        "methods": [],
        "level": None,
        "auth_time": None,
    }
    assert answer == client.get("/login/session.json").json()


# -- everything at once


def test_what_is_shown_of_an_identity(browser):
    browser.sign_in(ADA)
    identity = Identity.objects.get()

    assert (identity.origin, identity.is_primary, str(identity)) == ("sign_up", True, "a•••@e•••.com")
    assert identity.proven_at is not None
    assert str(SignIn.objects.get()) == SignIn.objects.get().public_id
    assert str(Profile.objects.get()) == Profile.objects.get().handle
    assert outbox.last_message(ADA)
    assert Page(browser.get("/account/")).status == 200
