"""Who comes in to the admin, and where the others are led."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client

from passwordless_auth.admin.sites import PasswordlessAdminSite
from passwordless_auth.models import Event, Passkey, Profile, SignIn
from passwordless_auth.testing import outbox, signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import PasskeyFactory
from tests.conftest import Browser
from tests.passkeys import ORIGIN, send
from tests.passkeys import sign_in as sign_in_by_passkey
from tests.views.pages import Page

pytestmark = pytest.mark.django_db

STEP_UP = "/login/step-up/?next=%2Fours%2F&level={}"


def led_to(client, path="/ours/"):
    """Where a visit ends that starts at this page, as far as the admin leads; and the last answer."""
    answer = client.get(path)
    while answer.status_code in (302, 303) and answer.url.startswith(("/ours/", "/both/")):
        path = answer.url
        answer = client.get(path)
    return answer.url if answer.status_code in (302, 303) else path, answer


def by_password(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_visitor_signs_in_at_our_page_and_comes_back(root, browser):
    where, _answer = led_to(browser, "/ours/passwordless_auth/event/?q=limit")
    assert where == "/login/?next=/ours/passwordless_auth/event/%3Fq%3Dlimit"

    browser.start("root@example.net", next="/ours/passwordless_auth/event/?q=limit")
    answer = browser.submit("/login/wait/", {"code": outbox.last_code("root@example.net")})

    assert answer.url == "/ours/passwordless_auth/event/?q=limit"
    assert browser.get(answer.url).status_code == 200


@pytest.mark.parametrize("there", ["//evil.example/", "https://evil.example/", "javascript:alert(1)", "http:///x"])
def test_the_way_back_never_leads_off_the_site(root, client_of_root, browser, there):
    assert client_of_root.get("/ours/login/", {"next": there}).url == "/ours/"
    assert browser.get("/ours/login/", {"next": there}).url == "/login/?next=/ours/"


def test_who_is_in_is_not_asked_again(client_of_root):
    answer = client_of_root.get("/ours/login/", {"next": "/ours/auth/user/"})

    assert answer.url == "/ours/auth/user/"


def test_no_password_is_taken_at_the_door(root, browser):
    root.set_password("right")
    root.save()

    answer = browser.submit("/ours/login/", {"username": "root", "password": "right"})

    assert answer.status_code == 405
    assert not browser.who()["authenticated"]
    assert browser.login(username="root", password="right")  # which Django would take


@pytest.mark.parametrize(
    ("level", "enough_for"),
    [("single", ["single"]), ("multi", ["single", "multi"]), ("phr", ["single", "multi", "phr"])],
)
@pytest.mark.parametrize("needed", ["single", "multi", "phr"])
def test_a_session_comes_in_at_the_level_for_staff_and_is_led_to_step_up_below_it(
    root, settings, level, enough_for, needed
):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = needed
    Profile.objects.filter(user=root).update(has_totp=False)
    client = signed_in_client(root, level)
    Profile.objects.filter(user=root).update(has_totp=False)  # an app asks for itself: see below

    where, answer = led_to(client)

    if needed in enough_for:
        assert (where, answer.status_code) == ("/ours/", 200)
        assert "Site administration" in answer.content.decode()
    else:
        assert where == STEP_UP.format(needed)


def test_who_has_an_app_is_asked_for_it_here_too(root, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "single"
    strong, weak = signed_in_client(root, "multi"), signed_in_client(root, "single")

    assert led_to(strong)[1].status_code == 200
    assert led_to(weak)[0] == STEP_UP.format("multi")


def test_a_minimum_of_the_person_or_of_their_group_counts_here_too(root, settings):
    client = signed_in_client(root, "single")
    assert led_to(client)[1].status_code == 200

    Profile.objects.filter(user=root).update(minimum_level="multi")
    assert led_to(client)[0] == STEP_UP.format("multi")

    settings.PASSWORDLESS_AUTH_LEVEL_FOR_GROUPS = {"owners": "phr"}
    root.groups.add(Group.objects.create(name="owners"))
    assert led_to(client)[0] == STEP_UP.format("phr")


def test_a_level_fades_after_a_day_and_the_admin_closes(root, settings, clock):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    settings.PASSWORDLESS_AUTH_SESSION_IDLE = 7 * 86400
    client = signed_in_client(root, "phr")

    clock.shift(86399)
    assert led_to(client)[1].status_code == 200
    clock.shift(2)
    assert led_to(client)[0] == STEP_UP.format("phr")


def test_a_password_stands_for_one_factor_and_no_more(root, settings):
    client = by_password(root)
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "single"
    assert led_to(client)[1].status_code == 200

    for needed in ("multi", "phr"):
        settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = needed
        assert led_to(client)[0] == STEP_UP.format(needed)


@pytest.mark.parametrize("needed", ["recovered", "single", "phr"])
def test_a_recovered_session_never_gets_in(root, settings, needed):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = needed
    where, answer = led_to(signed_in_client(root, "recovered"))

    page = Page(answer)
    assert where == "/ours/login/?next=/ours/"
    assert (page.status, page.name, page.code) == (403, "error", "step_up_required")
    assert page.links["Add a passkey"].startswith("/account/passkeys/")


def test_who_is_no_staff_is_told_so_and_goes_in_no_circle(ada):
    where, answer = led_to(signed_in_client(ada, "phr"))

    page = Page(answer)
    assert where == "/ours/login/?next=/ours/"
    assert (page.status, page.name, page.code) == (403, "error", "no_access")
    assert page.links["Sign in as somebody else"] == "/login/?next=%2Fours%2F"
    directives = set(page.response["Cache-Control"].split(", "))
    assert directives == {"max-age=0", "no-cache", "no-store", "must-revalidate", "private"}
    assert "frame-ancestors 'none'" in page.response["Content-Security-Policy"]


def test_who_loses_their_job_is_out_at_once(root, client_of_root):
    assert client_of_root.get("/ours/").status_code == 200
    User.objects.update(is_staff=False)

    assert led_to(client_of_root)[1].status_code == 403


def test_signing_out_ends_the_session_on_the_server(client_of_root):
    sign_in, key = SignIn.objects.get(), client_of_root.session.session_key

    answer = client_of_root.post("/ours/logout/")

    assert answer.url == "/logout/done/"
    sign_in.refresh_from_db()
    assert sign_in.end_reason == "signed_out"
    assert not client_of_root.session.exists(key)
    assert led_to(client_of_root)[0] == "/login/?next=/ours/"


def test_signing_out_needs_a_press(root):
    browser = Browser()
    browser.cookies.update(signed_in_client(root, "phr").cookies)

    page = Page(browser.get("/ours/logout/"))
    assert page.name == "logout_confirm"
    assert browser.post("/ours/logout/").status_code == 403  # no token
    assert browser.who()["authenticated"]

    assert browser.submit("/ours/logout/").status_code == 303
    assert not browser.who()["authenticated"]


def test_every_page_of_the_admin_is_behind_the_door(root, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    weak, strong = signed_in_client(root, "single"), signed_in_client(root, "phr")
    passkey = Passkey.objects.get()
    pages = [
        "/ours/",
        "/ours/auth/user/",
        "/ours/auth/",
        "/ours/jsi18n/",
        f"/ours/auth/user/{root.pk}/password/",
        f"/ours/passwordless_auth/passkey/{passkey.pk}/change/",
        f"/ours/passwordless_auth/passkey/acts/block/?id={passkey.pk}",
        f"/ours/auth/user/acts/end-sessions/?id={root.pk}",
    ]
    for page in pages:
        assert strong.get(page).status_code == 200, page
        assert weak.get(page).status_code == 302, page
        assert weak.get(page).url.startswith("/ours/login/"), page


def test_a_passkey_opens_it_over_http(root, settings, browser):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    authenticator = Authenticator()
    PasskeyFactory(user=root, authenticator=authenticator)

    answer = sign_in_by_passkey(browser, authenticator, query="?next=/ours/")

    assert answer.json() == {"next": "/ours/"}
    assert browser.get("/ours/").status_code == 200


def test_a_form_that_met_a_faded_level_comes_back_after_the_step_up(root, ada, clock, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    settings.PASSWORDLESS_AUTH_SESSION_IDLE = 7 * 86400
    authenticator = Authenticator()
    PasskeyFactory(user=root, authenticator=authenticator)
    browser = Browser()
    sign_in_by_passkey(browser, authenticator)
    laptop = PasskeyFactory(user=ada, name="Laptop")
    act = f"/ours/passwordless_auth/passkey/acts/block/?id={laptop.pk}"
    assert browser.get(act).status_code == 200
    clock.shift(86401)

    answer = browser.submit(act, {"reason": "stolen"})
    assert answer.url.startswith("/login/step-up/?next=%2Flogin%2Fstep-up%2Fresume%2F")
    assert not Passkey.objects.get(pk=laptop.pk).is_blocked
    here = re.search(r"next=([^&]+)", answer.url)[1]
    options = send(browser, "/login/passkey/options/", {"step_up": True})
    asserted = authenticator.get(options.json(), origin=ORIGIN)
    verified = send(browser, f"/login/passkey/verify/?step_up=1&next={here}", asserted)
    page = Page(browser.get(verified.json()["next"]))

    assert page.name == "resume"
    (form,) = [form for form in page.forms if "reason" in form.fields]
    assert form.action.endswith(act) or form.action == act
    assert browser.post(act, form.fields).status_code == 302
    assert Passkey.objects.get(pk=laptop.pk).is_blocked
    assert Event.objects.get(kind="passkey_blocked").data["reason"] == "stolen"


def test_a_form_of_another_site_is_not_kept(root, ada, clock, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    settings.PASSWORDLESS_AUTH_SESSION_IDLE = 7 * 86400
    browser = Browser()
    browser.cookies.update(signed_in_client(root, "phr").cookies)
    clock.shift(86401)

    answer = browser.post(f"/ours/auth/user/acts/end-sessions/?id={ada.pk}", {"reason": "x"})

    assert answer.status_code == 403
    assert "_passwordless_auth_form" not in browser.session


def test_the_admin_asks_for_little_more_than_djangos(root, django_assert_num_queries):
    """Session, user, log entries, and one more: the profile."""
    client = signed_in_client(root, "single")
    with django_assert_num_queries(4):
        assert client.get("/ours/").status_code == 200
    with django_assert_num_queries(3):
        assert client.get("/djangos/").status_code == 200


def test_djangos_own_site_is_left_alone():
    assert not isinstance(admin.site, PasswordlessAdminSite)
    assert type(admin.site._wrapped if hasattr(admin.site, "_wrapped") else admin.site) is admin.AdminSite
