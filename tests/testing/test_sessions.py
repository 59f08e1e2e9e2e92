"""``signed_in_client``: a browser like one that has been through our pages."""

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import TestCase, override_settings
from django.urls import include, path

from passwordless_auth.decorators import level_required
from passwordless_auth.models import KnownBrowser, Passkey, SignIn
from passwordless_auth.sessions import DATA
from passwordless_auth.testing import add_passkey, signed_in_client
from passwordless_auth.testing.factories import TotpFactory, UserFactory

pytestmark = pytest.mark.django_db


def verified(request):
    return HttpResponse(str(request.user.is_verified()))


urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("verified/", verified),
    *(path(f"{level}/", level_required(level)(verified)) for level in ("single", "multi", "phr")),
]


@pytest.fixture(autouse=True)
def urls(settings):
    settings.ROOT_URLCONF = __name__


def who(client):
    return client.get("/login/session.json").json()


@pytest.fixture
def ada():
    return UserFactory(address="ada@example.com", first_name="Ada")


@pytest.mark.parametrize(
    ("level", "methods", "is_verified", "opens"),
    [
        ("recovered", ["recovery_code"], "False", []),
        ("single", ["one_time_code"], "False", ["single"]),
        ("multi", ["one_time_code", "totp"], "True", ["single", "multi"]),
        ("phr", ["passkey"], "True", ["single", "multi", "phr"]),
    ],
)
def test_each_level_opens_what_it_should(ada, level, methods, is_verified, opens):
    client = signed_in_client(ada, level)
    told = who(client)

    assert told["authenticated"]
    assert told["user"]["email"] == "ada@example.com"
    assert told["level"] == level
    assert told["methods"] == methods
    assert client.get("/verified/").content.decode() == is_verified
    assert [name for name in ("single", "multi", "phr") if client.get(f"/{name}/").status_code == 200] == opens


def test_the_level_is_single_when_none_is_named(ada):
    assert who(signed_in_client(ada))["level"] == "single"


def test_no_other_level_exists(ada):
    with pytest.raises(ValueError, match="'loa3' is not a valid Level"):
        signed_in_client(ada, "loa3")


def test_the_methods_can_be_others(ada):
    client = signed_in_client(ada, "multi", methods=["magic_link", "totp"])

    assert who(client)["methods"] == ["magic_link", "totp"]


def test_staff_may_be_signed_in_below_their_level(ada, settings):
    """For the test of a page that must refuse them."""
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    ada.is_staff = True
    ada.save()

    assert signed_in_client(ada, "single").get("/phr/")["Location"] == "/login/step-up/?next=%2Fphr%2F&level=phr"
    assert signed_in_client(ada, "phr").get("/phr/").status_code == 200


def test_the_session_is_the_one_that_our_pages_make(ada, browser):
    client = signed_in_client(ada)
    browser.sign_in("ada@example.com")

    def kept_by(visitor):
        session = visitor.session
        return set(session.keys()), set(session[DATA]), set(visitor.cookies) - {"csrftoken"}

    assert kept_by(client) == kept_by(browser)
    assert User.objects.get() == ada
    assert [row.summary()["methods"] for row in SignIn.objects.live()] == [["one_time_code"]] * 2
    assert KnownBrowser.objects.filter(user=ada).count() == 2


def test_the_session_can_be_ended_from_another_one(ada):
    here, there = signed_in_client(ada), signed_in_client(ada)
    there.post("/account/sessions/", {"scope": "everywhere"})

    assert not who(here)["authenticated"]
    assert not who(there)["authenticated"]


def test_signing_out_ends_the_sign_in(ada):
    client = signed_in_client(ada)
    assert client.post("/logout/").status_code == 303

    assert not who(client)["authenticated"]
    assert not SignIn.objects.live().exists()


def test_what_the_user_has_enrolled_is_used(ada):
    passkey, app = add_passkey(ada), TotpFactory(user=ada)
    signed_in_client(ada, "phr")
    signed_in_client(ada, "multi")

    by_passkey, by_app = SignIn.objects.order_by("pk")
    assert by_passkey.otp_device_id == passkey.persistent_id
    assert by_app.otp_device_id == app.persistent_id
    assert Passkey.objects.get() == passkey


def test_an_address_that_was_used_is_proven():
    user = User.objects.create_user("ada", "ada@example.com")
    assert user.passwordless_identities.get().proven_at is None
    signed_in_client(user)

    assert user.passwordless_identities.get().proven_at is not None


def test_a_user_without_an_address(ada):
    user = User.objects.create_user("nobody")

    assert who(signed_in_client(user))["user"]["name"] == "nobody"


def test_what_the_client_sends_is_kept(ada):
    signed_in_client(ada, HTTP_USER_AGENT="Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/605.1")

    assert SignIn.objects.get().asker["os"] == "iPhone"


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_whatever_the_session_engine_is(ada, settings, engine, tmp_path):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)

    assert who(signed_in_client(ada))["authenticated"]


def test_on_https(ada, settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://testserver"
    settings.SESSION_COOKIE_SECURE = True
    client = signed_in_client(ada)

    assert client.get("/login/session.json", secure=True).json()["authenticated"]
    assert "__Host-passwordless_browser" in client.cookies


class WithoutPytest(TestCase):
    @override_settings(ROOT_URLCONF=__name__)
    def test_a_unittest_signs_in(self):
        client = signed_in_client(User.objects.create_user("ada", "ada@example.com"), level="phr")

        self.assertEqual(client.get("/phr/").status_code, 200)
