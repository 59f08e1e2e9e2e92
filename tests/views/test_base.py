"""What all pages share: headers, where to go next, and bodies that are too big."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import include, path, reverse

from passwordless_auth import urls
from passwordless_auth.exceptions import PasswordlessError
from passwordless_auth.testing import outbox
from passwordless_auth.views import LoginView
from passwordless_auth.views.base import Action, PageView, destination, safe_next, security_headers

from .pages import Page, visit

pytestmark = pytest.mark.django_db


class OwnLogin(LoginView):
    """A host's view: another template, another error."""

    template_name = "own_login.html"

    def post(self, request, *args, **kwargs):
        raise PasswordlessError


urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("own/", OwnLogin.as_view()),
]

OPEN = ["/login/", "/logout/done/", "/login/session.json", "/login/link/", "/login/wait/status.json", "/logout/"]


@pytest.mark.parametrize("url", [*OPEN, "/account/", "/login/link/nonsense/"])
def test_every_answer_is_kept_out_of_frames_caches_and_guesses(client, url):
    response = client.get(url)

    policy = response["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == ("no-referrer" if "/link/" in url else "same-origin")


def test_styles_may_come_from_where_the_host_serves_them(settings):
    settings.STATIC_URL = "https://static.example.com/assets/"

    assert "style-src 'self' https://static.example.com;" in security_headers()["Content-Security-Policy"]


def test_a_body_that_is_too_big_is_refused(browser):
    response = browser.submit("/login/", {"identifier": "ada@example.com", "more": "x" * 70_000})

    assert response.status_code == 413
    assert "Content-Security-Policy" in response


def test_a_length_that_is_no_number_is_no_error(rf):
    request = rf.get("/login/", CONTENT_LENGTH="many")
    request.user, request.session = type("Visitor", (), {"is_authenticated": False})(), {}

    assert LoginView.as_view()(request).status_code == 200


# -- where to go


@pytest.mark.parametrize("url", ["/", "/members/?a=1#b", "http://testserver/members/", "/ü/"])
def test_a_path_of_this_site_is_where_the_person_wanted_to_go(url):
    assert safe_next(url) == url
    assert destination(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "http://testserver@evil.example/",
        "http://testserver.evil.example/",
        "/x\r\nSet-Cookie: a=b",
        "\x00/",
        "/" + "x" * 2001,
        "",
    ],
)
def test_anything_else_is_dropped(url):
    assert safe_next(url) == ""
    assert destination(url) == "/account/"


def test_on_https_plain_http_is_not_this_site(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://testserver"

    assert safe_next("http://testserver/members/") == ""
    assert safe_next("https://testserver/members/") == "https://testserver/members/"


def test_without_a_wish_the_host_says_where_to_go(settings):
    settings.LOGIN_REDIRECT_URL = "/members/"

    assert destination("") == "/members/"


# -- for hosts


def test_a_host_changes_a_page_by_its_own_view(browser, settings):
    settings.ROOT_URLCONF = __name__
    loaders = [
        ("django.template.loaders.locmem.Loader", {"own_login.html": "own {{ page }} {{ site_name }}"}),
        "django.template.loaders.app_directories.Loader",
    ]
    template = {**settings.TEMPLATES[0], "APP_DIRS": False}
    settings.TEMPLATES = [{**template, "OPTIONS": {**template["OPTIONS"], "loaders": loaders}}]

    assert browser.get("/own/").content == b"own login Testserver"


def test_a_refusal_without_a_page_of_its_own_still_offers_a_next_step(browser, settings):
    settings.ROOT_URLCONF = __name__
    browser.get("/login/")
    page = Page(browser.submit("/own/"))

    assert (page.status, page.name, page.code) == (400, "error", "error")
    assert page.next_steps[1:] == ["Back to sign-in"]
    assert str(PasswordlessError()) == "error: This did not work. Please try again."


def test_the_base_class_offers_the_sign_in_page():
    view = PageView()
    view.request = RequestFactory().get("/?next=/members/")
    (action,) = view.actions_after(PasswordlessError())

    assert action == Action("Go to sign-in", "/login/?next=%2Fmembers%2F", primary=True)


# -- hosts of several kinds


def test_where_every_view_needs_a_member_our_pages_stay_open(browser, settings):
    middleware = [*settings.MIDDLEWARE]
    place = middleware.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1
    middleware.insert(place, "django.contrib.auth.middleware.LoginRequiredMiddleware")
    settings.MIDDLEWARE = middleware

    assert browser.get("/open/")["Location"] == "/login/?next=/open/"
    for url in OPEN:
        assert not browser.get(url).get("Location", "").startswith("/login/?"), url
    browser.sign_in(next="/open/")
    assert browser.get("/open/").status_code == 200
    assert visit(browser, "/account/").name == "account"


@pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: pattern.name)
def test_a_host_that_wraps_each_request_in_a_transaction_loses_no_counted_try(pattern):
    """``ATOMIC_REQUESTS`` would undo what a refusal has counted (with a real host: tests/security)."""
    assert pattern.callback._non_atomic_requests == {"default"}


def test_under_a_prefix_the_pages_work_as_well(client, settings):
    settings.ROOT_URLCONF = type(
        "Urls", (), {"urlpatterns": [path("members/only/", include("passwordless_auth.urls"))]}
    )
    client.post("/members/only/login/", {"identifier": "ada@example.com"})
    assert outbox.last_link("ada@example.com").startswith("http://testserver/members/only/login/link/")
    response = client.post("/members/only/login/wait/", {"code": outbox.last_code("ada@example.com")})
    assert response["Location"] == "/members/only/account/" == reverse("passwordless_auth:account")


def test_a_view_answers_only_what_it_knows(browser):
    assert browser.put("/login/session.json", headers={"x-csrftoken": "x"}).status_code in {403, 405}
    assert isinstance(browser.options("/login/"), HttpResponse)
    assert browser.head("/login/").status_code == 200
