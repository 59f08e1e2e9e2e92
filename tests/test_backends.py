"""The backend of our sessions: it loads users, and lets nobody in."""

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Permission, User

from passwordless_auth.backends import SignInBackend

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return User.objects.create_user("ada", "ada@example.com", "a password")


@pytest.mark.parametrize(
    "credentials", [{"username": "ada", "password": "a password"}, {"user": "ada"}, {"email": "ada@example.com"}]
)
def test_no_credentials_sign_in(ada, settings, credentials):
    settings.AUTHENTICATION_BACKENDS = ["passwordless_auth.backends.SignInBackend"]

    assert authenticate(None, **credentials) is None
    assert SignInBackend().authenticate(None, **credentials) is None


def test_a_user_is_loaded_while_they_are_active(ada):
    assert SignInBackend().get_user(ada.pk) == ada
    User.objects.update(is_active=False)
    assert SignInBackend().get_user(ada.pk) is None
    assert SignInBackend().get_user(ada.pk + 1) is None


def test_it_answers_for_permissions_as_djangos_own_does(ada, settings):
    settings.AUTHENTICATION_BACKENDS = ["passwordless_auth.backends.SignInBackend"]
    ada.user_permissions.add(Permission.objects.get(codename="view_user"))

    assert User.objects.get().has_perm("auth.view_user")
    assert not User.objects.get().has_perm("auth.delete_user")
