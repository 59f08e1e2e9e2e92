import pytest
from django.urls import reverse

from passwordless_auth.testing import signed_in_client
from passwordless_auth.testing.factories import UserFactory


@pytest.fixture(autouse=True)
def sites(settings):
    settings.ROOT_URLCONF = "tests.admin.urls"


@pytest.fixture
def root(db):
    """A superuser, whose own address is proven."""
    return UserFactory(username="root", address="root@example.net", is_staff=True, is_superuser=True)


@pytest.fixture
def ada(db):
    return UserFactory(username="ada", address="ada@example.com")


@pytest.fixture
def client_of_root(root):
    """Root, in the admin, who has just signed in with a passkey."""
    return signed_in_client(root, "phr")


@pytest.fixture
def url():
    """``url("passwordless_auth_passkey_changelist", *arguments)`` on our site."""
    return lambda name, *arguments: reverse(f"admin:{name}", args=arguments, current_app="ours")
