import pytest
from jwcrypto.jwk import JWK

from passwordless_auth.oidc import claims, keys

from .relying_party import RelyingParty, make_client


@pytest.fixture(scope="session")
def made_keys():
    """One private key of each algorithm, as JWKs."""
    return [JWK.generate(**keys.ALGORITHMS[alg]).export(as_dict=True) for alg in ("RS256", "ES256", "EdDSA")]


@pytest.fixture(autouse=True)
def signing_keys(settings, made_keys):
    """Keys from settings: making some for each test would take longer than most tests."""
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys
    keys.forget()
    yield
    keys.forget()
    claims.forget()


@pytest.fixture
def keys_in_database(settings, signing_keys):
    """As a host has it that sets nothing."""
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = []


@pytest.fixture
def app(browser, db):
    """A confidential Client of the house, and the browser of its person."""
    make_client()
    return RelyingParty(browser)


@pytest.fixture
def signed_in(app, browser):
    """The same, and the person is signed in."""
    browser.sign_in("ada@example.com")
    return app
