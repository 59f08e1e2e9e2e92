"""Guards for a host's views."""

import time
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from passwordless_auth.decorators import level_required
from passwordless_auth.models import Challenge, Identity, SignIn
from passwordless_auth.testing import add_totp, outbox, signed_in_client, totp_code
from passwordless_auth.testing.factories import UserFactory

from .totp import sign_in_with_app
from .views.pages import Page

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
BY_PASSWORD = "django.contrib.auth.backends.ModelBackend"


GUARDED = ["/recent/", "/single/", "/multi/", "/recent/multi/", "/phr/", "/recent/phr/"]


@pytest.fixture
def ada():
    return UserFactory(email=ADA)


def step_up(browser, path):
    """From a guarded page through the step-up and back. Returns the guarded page."""
    response = browser.get(path)
    assert response["Location"] == f"/login/step-up/?next=%2F{path.strip('/')}%2F", response
    response = browser.submit("/login/step-up/", {"next": path})
    assert response.status_code == 303
    response = browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})
    assert response["Location"] == path
    return browser.get(path)


@pytest.mark.parametrize("path", ["/recent/", "/single/", "/phr/"])
def test_a_visitor_signs_in_first(browser, path):
    assert browser.get(f"{path}?a=1")["Location"] == f"/login/?next={path}%3Fa%3D1"


@pytest.mark.parametrize("path", ["/recent/", "/single/"])
def test_who_has_just_signed_in_gets_in(browser, path):
    browser.sign_in(ADA)

    assert browser.get(path).status_code == 200


def test_a_proof_is_recent_for_ten_minutes(browser, clock):
    browser.sign_in(ADA)
    clock.shift(599)
    assert browser.get("/recent/").status_code == 200
    clock.shift(1)
    assert browser.get("/recent/").status_code == 302


def test_the_setting_says_what_is_recent(browser, clock, settings):
    settings.PASSWORDLESS_AUTH_STEP_UP_LIFETIME = 60
    browser.sign_in(ADA)
    clock.shift(60)

    assert browser.get("/recent/").status_code == 302


def test_a_step_up_raises_the_same_sign_in_under_new_keys(browser, clock):
    browser.sign_in(ADA)
    before = SignIn.objects.get()
    old_session, old_token = browser.cookies["sessionid"].value, browser.cookies["csrftoken"].value
    thief = type(browser)()
    thief.cookies["sessionid"] = old_session
    clock.shift(3600)

    assert step_up(browser, "/recent/").status_code == 200

    after = SignIn.objects.get()
    assert (after.pk, after.public_id, after.created_at) == (before.pk, before.public_id, before.created_at)
    assert (after.auth_time - before.auth_time).total_seconds() == 3600
    assert [proof.at - int(before.auth_time.timestamp()) for proof in after.all_proofs()] == [3600]
    assert after.methods == ["one_time_code"]
    assert after.level == "single"
    assert browser.cookies["sessionid"].value != old_session
    assert browser.cookies["csrftoken"].value != old_token
    assert after.session_key() == browser.cookies["sessionid"].value
    assert browser.who()["auth_time"] == int(time.time())
    assert not thief.who()["authenticated"]
    assert Challenge.objects.latest("pk").sign_in == after


def test_what_the_session_held_is_kept(browser, clock):
    browser.sign_in(ADA)
    session = browser.session
    session["basket"] = [1]
    session.save()
    clock.shift(3600)
    step_up(browser, "/recent/")

    assert browser.session["basket"] == [1]


def test_a_step_up_does_not_make_the_session_live_longer(browser, clock, settings):
    settings.PASSWORDLESS_AUTH_SESSION_LIFETIME = 7200
    browser.sign_in(ADA)
    clock.shift(7000)
    step_up(browser, "/recent/")
    clock.shift(200)

    assert not browser.who()["authenticated"]


@pytest.mark.parametrize("path", ["/recent/", "/single/"])
def test_a_session_that_another_backend_made_steps_up_to_one_of_ours(browser, path):
    user = User.objects.create_user("ada", ADA, "a password")
    Identity.objects.update(proven_at=timezone.now())
    browser.force_login(user, backend=BY_PASSWORD)
    assert browser.who()["level"] is None

    assert step_up(browser, path).status_code == 200

    assert SignIn.objects.get().user == user
    assert browser.who()["level"] == "single"


def test_an_address_that_nobody_has_proven_confirms_nothing(browser):
    """Who holds a stolen session would write their own address into the profile."""
    browser.force_login(User.objects.create_user("ada", ADA, "a password"), backend=BY_PASSWORD)
    response = browser.submit("/login/step-up/", {"next": "/recent/"})

    assert (response.status_code, b'data-code="step_up_required"' in response.content) == (403, True)
    assert not Challenge.objects.exists()


@pytest.mark.parametrize("path", ["/multi/", "/phr/", "/recent/multi/", "/recent/phr/"])
@pytest.mark.parametrize("step_up_first", [False, True])
def test_a_level_that_no_message_reaches_stays_closed_however_often_one_is_answered(
    browser, clock, step_up_first, path
):
    """MF-01: a fresh code is fresh, and still only a code."""
    browser.sign_in(ADA)
    if step_up_first:
        clock.shift(3600)
        step_up(browser, "/recent/")
    level = path.strip("/").split("/")[-1]

    assert browser.get(path)["Location"] == f"/login/step-up/?next={quote(path, '')}&level={level}"
    assert browser.who()["authenticated"]


def test_a_session_of_another_backend_has_no_level_at_all(browser):
    browser.force_login(User.objects.create_user("ada", ADA), backend=BY_PASSWORD)

    assert browser.get("/phr/").status_code == 302


@pytest.mark.parametrize(
    ("level", "open_to_it"),
    [
        ("recovered", []),
        ("single", ["/recent/", "/single/"]),
        ("multi", ["/recent/", "/single/", "/multi/", "/recent/multi/"]),
        ("phr", ["/recent/", "/single/", "/multi/", "/recent/multi/", "/phr/", "/recent/phr/"]),
    ],
)
def test_each_level_opens_what_asks_for_it_or_for_less(ada, level, open_to_it):
    client = signed_in_client(ada, level)

    assert [path for path in GUARDED if client.get(path).status_code == 200] == open_to_it


@pytest.mark.parametrize(("level", "path"), [("multi", "/multi/"), ("phr", "/phr/"), ("phr", "/multi/")])
def test_two_factors_and_a_passkey_count_for_a_day(ada, clock, settings, level, path):
    settings.PASSWORDLESS_AUTH_SESSION_IDLE = 7 * 86400
    client = signed_in_client(ada, level)
    clock.shift(86399)
    assert client.get(path).status_code == 200
    assert client.get("/login/session.json").json()["level"] == level
    clock.shift(1)

    assert client.get(path).status_code == 302
    assert client.get("/single/").status_code == 200
    assert client.get("/login/session.json").json()["level"] == "single"


@pytest.mark.parametrize(("level", "path"), [("multi", "/recent/multi/"), ("phr", "/recent/phr/")])
def test_a_recent_proof_of_a_level_is_one_of_ten_minutes(ada, clock, level, path):
    client = signed_in_client(ada, level)
    clock.shift(599)
    assert client.get(path).status_code == 200
    clock.shift(1)
    assert client.get(path).status_code == 302


def test_a_code_of_this_minute_makes_no_passkey_of_this_morning_recent(browser, ada, clock, settings):
    """MF-01, the other way round: strong this morning, fresh by mail now."""
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link", "one_time_code", "passkey"]
    browser.cookies.update(signed_in_client(ada, "phr").cookies)
    clock.shift(3600)
    assert browser.get("/recent/phr/").status_code == 302
    step_up(browser, "/recent/")

    assert browser.get("/recent/").status_code == 200
    assert browser.get("/phr/").status_code == 200
    assert browser.get("/recent/phr/").status_code == 302
    assert browser.get("/recent/multi/").status_code == 302


def test_a_code_of_an_app_makes_no_passkey_of_this_morning_recent(browser, clock):
    ada = UserFactory(email=ADA)
    app = add_totp(ada)
    browser.cookies.update(signed_in_client(ada, methods=["one_time_code", "passkey"], level="phr").cookies)
    clock.shift(3600)
    browser.submit("/login/step-up/", {"action": "totp", "level": "multi", "code": totp_code(app)})

    assert browser.get("/recent/multi/").status_code == 200
    assert browser.get("/phr/").status_code == 200
    assert browser.get("/recent/phr/").status_code == 302


def test_who_must_have_two_factors_confirms_with_two(browser, ada, clock):
    """A stolen session and a mailbox do not make one who has an app."""
    app = add_totp(ada)
    sign_in_with_app(browser, app)
    assert browser.get("/recent/").status_code == 200
    clock.shift(3600)
    assert browser.get("/recent/").status_code == 302

    assert Page(browser.submit("/login/step-up/", {"next": "/recent/"})).code == "step_up_required"
    assert browser.get("/recent/").status_code == 302
    response = browser.submit("/login/step-up/", {"action": "totp", "next": "/recent/", "code": totp_code(app)})
    assert response["Location"] == "/recent/"
    assert browser.get("/recent/").status_code == 200


def test_a_second_factor_that_came_later_counts_for_the_sessions_that_were_there(browser, ada, clock):
    browser.sign_in(ADA)
    app = add_totp(ada)
    clock.shift(3600)
    browser.submit("/login/step-up/", {"next": "/recent/"})
    browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})

    assert browser.get("/recent/").status_code == 302
    browser.submit("/login/step-up/", {"action": "totp", "code": totp_code(app)})
    assert browser.get("/recent/").status_code == 200


def test_a_level_that_is_none_is_refused_when_the_view_is_made():
    with pytest.raises(ValueError, match="'strong' is not a valid Level"):
        level_required("strong")


def test_a_view_of_a_class_is_guarded(ada):
    assert signed_in_client(ada, "multi").get("/invoices/").content == f"hello {ada}".encode()
    assert signed_in_client(ada).get("/invoices/")["Location"] == ("/login/step-up/?next=%2Finvoices%2F&level=multi")


def test_a_guarded_view_keeps_its_name():
    @level_required("single")
    def invoices(request):
        """The invoices."""

    assert (invoices.__name__, invoices.__doc__) == ("invoices", "The invoices.")


def test_a_step_up_whose_session_ended_meanwhile_signs_nobody_in(browser, other_browser, clock):
    browser.sign_in(ADA)
    clock.shift(3600)
    other_browser.sign_in(ADA)
    clock.shift(61)
    browser.submit("/login/step-up/")
    code = outbox.last_code(ADA)
    other_browser.submit("/account/sessions/", {"scope": "others"})

    response = browser.submit("/login/wait/", {"code": code})

    assert (response.status_code, b'data-code="superseded"' in response.content) == (410, True)
    assert not browser.who()["authenticated"]


def test_a_step_up_does_not_raise_the_session_of_the_next_person(browser, clock):
    browser.sign_in(ADA)
    clock.shift(3600)
    browser.submit("/login/step-up/")
    code, asked = outbox.last_code(ADA), Challenge.objects.latest("pk")
    ada, old = SignIn.objects.get(), browser.cookies["sessionid"].value
    browser.cookies.pop("sessionid")
    browser.sign_in("bob@example.com")

    response = browser.submit("/login/wait/", {"code": code, "challenge": asked.public_id})

    assert response.status_code == 410
    assert browser.who()["user"]["email"] == "bob@example.com"
    ada.refresh_from_db()
    assert (ada.ended_at, len(ada.proofs)) == (None, 1)
    asked.refresh_from_db()
    assert asked.state == "open"  # the person whose it is can go on
    browser.cookies["sessionid"] = old
    assert browser.submit("/login/wait/", {"code": code, "challenge": asked.public_id}).status_code == 303
