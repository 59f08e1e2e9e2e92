"""Sessions begin under a new key, end on the server, and cost what they must (SE)."""

import contextlib
import json

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.core.cache import caches
from django.http import HttpResponse
from django.urls import include, path

from passwordless_auth import sessions
from passwordless_auth.models import SignIn
from tests import urls as site
from tests.conftest import Browser

from .conftest import (
    FIREFOX,
    copy_of,
    error_code,
    guess,
    member,
    newest,
    open_link,
    press,
    statements,
    stranger,
)

# Real transactions: sessions that are not in the database are saved after the commit.
pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()
ADA = "ada@example.com"
ENGINES = ["db", "cached_db", "cache", "file"]


# -- pages of a host that do what hosts do


def basket(request):
    request.session["basket"] = request.GET.get("put", request.session.get("basket", ""))
    return HttpResponse(request.session["basket"])


def look(request):
    return HttpResponse(request.session.get("basket", "nothing"))


def change_password(request):
    request.user.set_password("a new one")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse("changed")


urlpatterns = [
    path("basket/", basket),
    path("look/", look),
    path("change-password/", change_password),
    path("", include(site)),
]


@pytest.fixture(autouse=True)
def host_pages(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture(params=ENGINES)
def engine(request, settings, tmp_path):
    """Each session engine, over a store that all processes and machines share. Make browsers only after it."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(tmp_path / "cache"),
        }
    }
    with contextlib.suppress(AttributeError):
        del FileStore._storage_path  # remembered from another test's settings
    yield request.param
    with contextlib.suppress(AttributeError):
        del FileStore._storage_path


def key_of(browser):
    return browser.cookies[django_settings.SESSION_COOKIE_NAME].value


def is_in(browser):
    """Whether the site of the host lets this browser in."""
    answer = browser.get("/members/")
    assert answer.status_code in {200, 302}
    return answer.status_code == 200


def session_exists(key):
    return sessions.session_store()().exists(key)


# -- SE-01: new keys


@pytest.mark.parametrize("door", ["code", "link"])
def test_signing_in_changes_session_and_csrf_token_and_the_old_session_is_worthless(engine, door):
    """SE-01: an attacker who planted the session before gains nothing (session fixation)."""
    browser = Browser()
    browser.get("/basket/?put=eggs")
    browser.start()
    fixed, old_token = copy_of(browser), browser.cookies["csrftoken"].value
    old_key = key_of(browser)
    if door == "code":
        guess(browser, newest().code())
    else:
        open_link(browser)
        press(browser)

    assert key_of(browser) != old_key
    assert not session_exists(old_key)
    assert browser.cookies["csrftoken"].value != old_token
    assert is_in(browser)
    assert browser.get("/look/").content == b"eggs"  # what the visitor had collected stays theirs
    assert not is_in(fixed)
    assert fixed.get("/look/").content == b"nothing"


def test_the_csrf_token_of_before_opens_nothing_afterwards():
    """SE-01"""
    browser = Browser()
    browser.start()
    old_token = browser.cookies["csrftoken"].value
    guess(browser, newest().code())

    assert browser.post("/logout/", {"csrfmiddlewaretoken": old_token}).status_code == 403
    assert is_in(browser)
    assert browser.submit("/logout/").status_code == 303
    assert not is_in(browser)


def test_confirming_that_it_is_you_changes_session_and_csrf_token(engine, clock):
    """SE-01: every change of level."""
    browser = Browser()
    browser.sign_in()
    clock.shift(700)
    thief, old_key, old_token = copy_of(browser), key_of(browser), browser.cookies["csrftoken"].value
    browser.submit("/login/step-up/")
    guess(browser, newest().code())

    assert key_of(browser) != old_key
    assert browser.cookies["csrftoken"].value != old_token
    assert not session_exists(old_key)
    assert browser.get("/recent/").status_code == 200
    assert not is_in(thief)
    assert SignIn.objects.count() == 1
    browser.submit("/logout/")
    assert not is_in(browser)


def test_signing_in_again_ends_the_session_that_it_replaces(engine, clock):
    """SE-01"""
    browser = Browser()
    browser.sign_in()
    thief, old_key = copy_of(browser), key_of(browser)
    clock.shift(61)
    browser.sign_in()

    assert key_of(browser) != old_key
    assert is_in(browser)
    assert not is_in(thief)
    assert list(SignIn.objects.order_by("pk").values_list("end_reason", flat=True)) == ["replaced", ""]


def test_what_one_person_left_in_a_session_is_not_the_next_ones(engine):
    """SE-01: a shared computer."""
    browser = Browser()
    browser.sign_in(ADA)
    browser.get("/basket/?put=adas-eggs")
    browser.sign_in("bob@example.com")

    assert browser.get("/look/").content == b"nothing"
    assert browser.who()["user"]["email"] == "bob@example.com"


# -- SE-02: the end is on the server


def test_a_copied_cookie_is_dead_after_signing_out(engine):
    """SE-02"""
    browser = Browser()
    browser.sign_in()
    thief = copy_of(browser)
    assert is_in(thief)
    browser.submit("/logout/")

    assert not is_in(thief)
    assert not is_in(browser)
    assert thief.who() == {"authenticated": False, "user": None, "methods": [], "level": None, "auth_time": None}


def test_asking_to_sign_out_signs_nobody_out():
    """SE-02: an image of another site that points to /logout/."""
    browser = Browser()
    browser.sign_in()

    assert browser.get("/logout/").status_code == 200
    assert browser.head("/logout/").status_code == 200
    assert is_in(browser)


def machines(number, clock):
    """One person at several machines, each with a session."""
    found = []
    for place in range(number):
        browser = Browser(REMOTE_ADDR=f"192.0.2.{place + 1}", HTTP_USER_AGENT=FIREFOX)
        browser.sign_in()
        clock.shift(61)
        found.append(browser)
    return found


def test_one_session_is_ended_from_another(engine, clock):
    """SE-02"""
    here, there, third = machines(3, clock)
    named = SignIn.objects.order_by("pk")[1]
    assert here.submit("/account/sessions/", {"sign_in": named.public_id}).status_code == 303

    assert [is_in(browser) for browser in (here, there, third)] == [True, False, True]


def test_nobody_ends_another_persons_session(clock):
    """SE-02"""
    mine = Browser()
    mine.sign_in()
    mallory = stranger()
    mallory.sign_in("mallory@example.com")
    mallory.submit("/account/sessions/", {"sign_in": SignIn.objects.order_by("pk")[0].public_id})

    assert is_in(mine)


def test_all_other_sessions_are_ended(engine, clock):
    """SE-02"""
    here, there, third = machines(3, clock)
    other = stranger()
    other.sign_in("bob@example.com")
    assert here.submit("/account/sessions/", {"scope": "others"}).status_code == 303

    assert [is_in(browser) for browser in (here, there, third, other)] == [True, False, False, True]


def test_signing_out_everywhere_ends_all_and_what_is_on_its_way(engine, clock):
    """SE-02"""
    here, there = machines(2, clock)
    by_other_code = Browser()
    by_other_code.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    assert is_in(by_other_code)
    waiting = stranger()
    waiting.start()
    other = stranger()
    other.sign_in("bob@example.com")
    assert here.submit("/account/sessions/", {"scope": "everywhere"}).status_code == 303

    assert [is_in(browser) for browser in (here, there, by_other_code, other)] == [False, False, False, True]
    late = guess(waiting, newest().code())
    assert (late.status_code, error_code(late)) == (410, "superseded")
    clock.shift(61)
    here.sign_in()
    assert is_in(here)


def test_a_session_that_a_store_brings_back_stays_dead(engine, clock):
    """SE-02: a cache may write back what another request was just reading."""
    if engine == "db":
        pytest.skip("the database does not bring back what was deleted")
    browser = Browser()
    browser.sign_in()
    thief = copy_of(browser)
    store = sessions.session_store()
    held = dict(store(key_of(browser)).load())
    browser.submit("/logout/")

    revived = store(key_of(thief))
    if engine == "cached_db":
        caches["default"].set(revived.cache_key, held)
    else:
        revived._session_key = None
        revived.update(held)
        revived.create()
        thief.cookies["sessionid"] = revived.session_key
    assert sessions.session_store()(key_of(thief)).load()
    assert not is_in(thief)
    assert not session_exists(key_of(thief))


# -- SE-04: the account ends


@pytest.mark.parametrize("way", ["save", "save of one field", "update"])
def test_deactivating_a_user_ends_all_sessions_and_attempts(engine, clock, way):
    """SE-04: at the next request, on every machine; and coming back revives nothing."""
    here, there = machines(2, clock)
    waiting = stranger()
    waiting.start()
    bystander = stranger()
    bystander.sign_in("bob@example.com")
    user = User.objects.get(email=ADA)
    user.is_active = False
    if way == "save":
        user.save()
    elif way == "save of one field":
        user.save(update_fields=["is_active"])
    else:
        User.objects.filter(pk=user.pk).update(is_active=False)
    if way != "update":  # at once, and not only when somebody comes
        assert not SignIn.objects.live().filter(user=user).exists()

    assert [is_in(browser) for browser in (here, there, bystander)] == [False, False, True]
    refused = guess(waiting, newest(ADA).code())
    expected = (403, "disabled") if way == "update" else (410, "superseded")
    assert (refused.status_code, error_code(refused)) == expected
    assert not is_in(waiting)
    assert not SignIn.objects.live().filter(user=user).exists()

    User.objects.filter(pk=user.pk).update(is_active=True)
    assert [is_in(browser) for browser in (here, there, waiting)] == [False, False, False]
    assert guess(waiting, newest(ADA).code()).status_code == 410
    clock.shift(61)
    here.sign_in()
    assert is_in(here)


def test_the_link_of_a_deactivated_user_is_dead(clock):
    """SE-04"""
    user = member()
    browser, elsewhere = Browser(), stranger()
    browser.start()
    open_link(browser)
    open_link(elsewhere)
    user.is_active = False
    user.save()
    user.is_active = True
    user.save()

    for visitor in (browser, elsewhere):
        late = press(visitor)
        assert (late.status_code, error_code(late)) == (410, "superseded")
        assert not is_in(visitor)


def test_deleting_a_user_ends_all_sessions_and_attempts(engine, clock):
    """SE-04"""
    here, there = machines(2, clock)
    waiting = stranger()
    waiting.start()
    challenge = newest()
    keys = [key_of(here), key_of(there)]
    User.objects.filter(email=ADA).delete()

    assert [is_in(browser) for browser in (here, there)] == [False, False]
    assert not any(map(session_exists, keys))
    answer = waiting.submit("/login/wait/", {"code": challenge.code(), "challenge": challenge.public_id})
    assert answer.status_code == 410
    assert not User.objects.exists()


# -- SE-05: cookies


class HttpsBrowser(Browser):
    """A browser at a site behind HTTPS."""

    def request(self, **request):
        request.setdefault("HTTP_ORIGIN", "https://testserver")
        return super().request(**{**request, "wsgi.url_scheme": "https", "SERVER_PORT": "443"})

    def submit(self, path, data=None, **extra):
        if "__Host-csrftoken" not in self.cookies:
            self.get("/login/")
        token = self.cookies["__Host-csrftoken"].value
        return self.post(path, {**(data or {}), "csrfmiddlewaretoken": token}, **extra)


@pytest.fixture
def https(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://testserver"
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"
    settings.CSRF_COOKIE_NAME = "__Host-csrftoken"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    return HttpsBrowser()


def test_cookies_on_https_are_out_of_reach_of_scripts_other_sites_and_other_hosts(https, clock):
    """SE-05"""
    answers = [https.get("/login/"), https.start(), https.get(f"/login/link/{newest().link_token()}/")]
    answers += [https.get(f"/login/report/{'x' * 65}/"), https.get(f"/enrol/{'x' * 65}/")]
    answers.append(guess(https, newest().code()))
    page_of = {
        "__Secure-passwordless_link": "/login/link/",
        "__Secure-passwordless_report": "/login/report/",
        "__Secure-passwordless_enrol": "/enrol/",
    }
    cookies = {name: morsel for answer in answers for name, morsel in answer.cookies.items()}

    assert set(cookies) == {
        "__Host-csrftoken",
        "__Host-sessionid",
        "__Host-passwordless_browser",
        *page_of,
    }
    for name, cookie in cookies.items():
        assert cookie["secure"], name
        assert cookie["samesite"] == "Lax", name
        assert not cookie["domain"], name
        if name != "__Host-csrftoken":  # Django's own; the host's forms and scripts may need it
            assert cookie["httponly"], name
        # __Host- asks for the whole site (RFC 6265bis §4.1.3.2); the cookie of a link goes to its page only.
        assert cookie["path"] == page_of.get(name, "/"), name
    assert https.get("/members/").status_code == 200
    assert cookies["__Host-sessionid"]["max-age"] == 12 * 3600


def test_a_link_by_https_signs_in(https):
    """SE-05, the twin"""
    https.start()
    shown = https.get(f"/login/link/{newest().link_token()}/", follow=True)
    assert shown.status_code == 200
    answer = https.submit("/login/link/", {"challenge": newest().public_id, "action": "sign_in"})
    assert answer.status_code == 303
    assert https.get("/members/").status_code == 200


def test_a_cookie_planted_by_plain_http_is_not_read(https):
    """SE-05: another host of the domain can set cookies without the prefix."""
    https.start()
    thief = HttpsBrowser()
    thief.cookies["passwordless_browser"] = https.cookies["__Host-passwordless_browser"].value
    assert thief.submit("/login/wait/", {"code": newest().code(), "challenge": newest().public_id}).status_code == 403


# -- the recipe


def on_session_table(work):
    return [
        statement.split()[0] for statement in work if '"django_session"' in statement or "`django_session`" in statement
    ]


@pytest.mark.parametrize("door", ["code", "link"])
@pytest.mark.parametrize("before", ["no session", "a basket"])
def test_signing_in_writes_the_session_once_and_sets_its_cookie(clock, door, before):
    """SE-01, SE-05"""
    browser = Browser()
    if before == "a basket":
        browser.get("/basket/?put=eggs")
    browser.start()
    open_link(browser)
    with statements() as work:
        answer = guess(browser, newest().code()) if door == "code" else press(browser)

    written = on_session_table(work)
    assert written.count("INSERT") == 1
    assert "UPDATE" not in written
    assert written.count("DELETE") == (1 if before == "a basket" else 0)
    cookie = answer.cookies["sessionid"]
    assert session_exists(cookie.value)
    assert (cookie["max-age"], cookie["path"], cookie["samesite"], cookie["httponly"], cookie["domain"]) == (
        12 * 3600,
        "/",
        "Lax",
        True,
        "",
    )
    assert is_in(browser)


@pytest.mark.parametrize("save_always", [True, False])
def test_sessions_of_every_engine_hold_after_signing_in(engine, settings, save_always):
    """SE-01, the twin"""
    settings.SESSION_SAVE_EVERY_REQUEST = save_always
    browser = Browser()
    browser.sign_in()
    key = key_of(browser)

    assert session_exists(key)
    assert is_in(browser)
    assert is_in(browser)
    assert key_of(browser) == key
    assert SignIn.objects.get().session_key() == key


def test_the_key_of_a_session_is_kept_sealed(clock):
    """SE-02: what ends a session from elsewhere opens none to who reads the table."""
    browser = Browser()
    browser.sign_in()
    row = SignIn.objects.get()

    assert key_of(browser) not in str(SignIn.objects.values())
    other = SignIn(public_id="another-row", session_key_sealed=row.session_key_sealed)
    assert row.session_key() == key_of(browser)
    assert other.session_key() is None


def test_a_key_that_other_code_changes_is_followed(engine, clock):
    """SE-02: a password change calls cycle_key(); the session must still be found to be ended."""
    here, there = machines(2, clock)
    old_key = key_of(there)
    assert there.get("/change-password/").content == b"changed"
    assert key_of(there) != old_key
    assert SignIn.objects.order_by("pk")[1].session_key() == key_of(there)
    assert not is_in(here)  # Django's own rule: the other sessions compare with the old password

    clock.shift(61)
    here.sign_in()
    here.submit("/account/sessions/", {"sign_in": SignIn.objects.order_by("pk")[1].public_id})
    assert not is_in(there)
    assert not session_exists(key_of(there))
    assert is_in(here)


def test_a_session_ends_after_twelve_hours_without_a_visit(engine, clock):
    """SE-01: idle time"""
    browser = Browser()
    browser.sign_in()
    clock.shift(11 * 3600)
    assert is_in(browser)
    clock.shift(11 * 3600)
    assert is_in(browser)
    clock.shift(12 * 3600 + 1)
    assert not is_in(browser)


def test_a_session_ends_after_thirty_days_however_busy(engine, settings, clock):
    """SE-01: absolute life"""
    settings.PASSWORDLESS_AUTH_SESSION_LIFETIME = 86400
    browser = Browser()
    browser.sign_in()
    for _hour in range(23):
        clock.shift(3600)
        assert is_in(browser)
    clock.shift(3590)
    assert is_in(browser)
    clock.shift(11)
    assert not is_in(browser)


def test_a_page_that_writes_the_session_does_not_make_it_live_longer(engine, settings, clock):
    """SE-01: each save begins the time of a session anew; the end of its life stays where it is."""
    settings.PASSWORDLESS_AUTH_SESSION_LIFETIME = 3600
    browser = Browser()
    browser.sign_in()
    clock.shift(3570)
    assert is_in(browser)
    for turn in range(70):  # a page that asks all the time, and stores something each time
        clock.shift(0.5)
        browser.get(f"/basket/?put=eggs-{turn}")
    assert not is_in(browser)


def test_the_last_visit_is_written_at_most_every_five_minutes(clock):
    """SE-02"""
    browser = Browser()
    browser.sign_in()
    begun = SignIn.objects.get().last_seen_at
    clock.shift(290)
    is_in(browser)
    assert SignIn.objects.get().last_seen_at == begun
    clock.shift(11)
    with statements() as work:
        is_in(browser)
    assert (SignIn.objects.get().last_seen_at - begun).total_seconds() == 301
    assert [w.split()[0] for w in work if "passwordless_auth" in w] == ["UPDATE"]
    with statements() as work:
        is_in(browser)
    assert not [w for w in work if "passwordless_auth" in w]


def test_an_authenticated_request_costs_two_queries(clock):
    """SE-02: the session and the user, as with Django alone."""
    browser = Browser()
    browser.sign_in()
    with statements() as work:
        is_in(browser)
    assert len(work) == 2
    with statements() as work:
        browser.who()
    assert len(work) == 2
    visitor = stranger()
    with statements() as work:
        visitor.get("/open/")
        visitor.who()
    assert work == []


def test_session_json_says_who_is_here(clock):
    """SE-02"""
    browser = Browser()
    browser.sign_in()
    told = browser.get("/login/session.json")
    who = told.json()

    assert told["Content-Type"] == "application/json"
    assert "no-store" in told["Cache-Control"]
    assert set(who) == {"authenticated", "user", "methods", "level", "auth_time"}
    assert who["user"] == {"id": User.objects.get().passwordless_profile.handle, "name": ADA, "email": ADA}
    assert (who["authenticated"], who["methods"], who["level"]) == (True, ["one_time_code"], "single")
    assert isinstance(who["user"]["id"], str)
    assert isinstance(who["auth_time"], int)
    assert key_of(browser) not in json.dumps(who)


def test_the_list_of_sessions_shows_this_persons_and_no_key(clock):
    """SE-02"""
    here, there = machines(2, clock)
    other = stranger("198.51.100.99")
    other.sign_in("bob@example.com")
    text = here.get("/account/sessions/").content.decode()

    assert "192.0.2.1" in text
    assert "192.0.2.2" in text
    assert "198.51.100.99" not in text
    assert text.count("This browser") == 1
    for browser in (here, there, other):
        assert key_of(browser) not in text


def test_the_list_of_sessions_costs_no_more_with_many(clock):
    """SE-02"""
    machines(2, clock)
    here = machines(1, clock)[0]
    with statements() as few:
        here.get("/account/sessions/")
    machines(2, clock)
    with statements() as many:
        text = here.get("/account/sessions/").content.decode()
    assert text.count('name="sign_in"') == 5
    assert many == few
