"""Sessions and SignIns, in step at every request."""

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import include, path

from passwordless_auth.models import SignIn

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def tell(request):
    sign_in = request.sign_in
    return HttpResponse(sign_in.public_id if sign_in else "nobody")


def hello(request):
    return HttpResponse(f"hello {request.user}")


def break_down(request):
    request.session["broken"] = True
    return HttpResponse("broken", status=500)


def change_key(request):
    request.session.cycle_key()
    return HttpResponse("changed")


urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("hello/", hello),
    path("tell/", tell),
    path("break/", break_down),
    path("change-key/", change_key),
]


@pytest.fixture(autouse=True)
def urls(settings):
    settings.ROOT_URLCONF = __name__


def test_a_view_finds_the_sign_in_of_its_session(browser):
    assert browser.get("/tell/").content == b"nobody"
    browser.sign_in(ADA)

    assert browser.get("/tell/").content.decode() == SignIn.objects.get().public_id


def test_a_session_that_other_code_made_has_none(browser):
    browser.force_login(User.objects.create_user("ada"), backend="django.contrib.auth.backends.ModelBackend")

    assert browser.get("/tell/").content == b"nobody"


def test_it_is_asked_for_only_when_it_is_used(browser, django_assert_num_queries):
    browser.sign_in(ADA)

    with django_assert_num_queries(2):
        browser.get("/hello/")
    with django_assert_num_queries(3):
        browser.get("/tell/")


def test_a_key_that_other_code_changes_is_followed(browser):
    browser.sign_in(ADA)
    old = browser.cookies["sessionid"].value
    browser.get("/change-key/")

    assert browser.cookies["sessionid"].value != old
    assert SignIn.objects.get().session_key() == browser.cookies["sessionid"].value


def test_a_key_of_a_session_that_has_ended_is_not_followed(browser):
    browser.sign_in(ADA)
    before = SignIn.objects.get().session_key_sealed
    SignIn.objects.update(ended_at=SignIn.objects.get().created_at)
    browser.get("/change-key/")

    assert SignIn.objects.get().session_key_sealed == before


def test_a_view_that_failed_is_no_visit(browser, clock):
    browser.sign_in(ADA)
    seen = SignIn.objects.get().last_seen_at
    clock.shift(400)
    browser.get("/break/")
    assert SignIn.objects.get().last_seen_at == seen

    browser.get("/tell/")
    assert (SignIn.objects.get().last_seen_at - seen).total_seconds() == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", ["cache", "cached_db", "file"])
def test_where_the_engine_is_not_the_database_the_row_is_asked(browser, settings, tmp_path, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    browser.sign_in(ADA)
    assert browser.get("/tell/").content.decode() == SignIn.objects.get().public_id

    SignIn.objects.update(ended_at=SignIn.objects.get().created_at)

    assert browser.get("/tell/").content == b"nobody"
    assert not browser.who()["authenticated"]
