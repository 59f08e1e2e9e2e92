"""The settings of the provider, as a host meets them."""

from passwordless_auth.oidc.conf import OidcSettings, settings


class OfNobody(OidcSettings):
    """The settings of a host that set none but what is required."""

    def _get(self, name, default):
        return "https://example.com" if name == "BASE_URL" else default


def names():
    return [name for name, value in vars(OidcSettings).items() if isinstance(value, property) and name.isupper()]


def test_every_setting_has_its_documentation_and_a_name_of_its_own():
    assert [name for name in names() if not getattr(OidcSettings, name).__doc__] == []
    assert all(name.startswith("OIDC_") for name in names())


def test_the_defaults():
    defaults = OfNobody()
    assert {name: getattr(defaults, name) for name in names()} == {
        "OIDC_ISSUER": "https://example.com/",
        "OIDC_SUBJECT": "opaque",
        "OIDC_CLAIMS": "",
        "OIDC_SIGNING_KEYS": [],
        "OIDC_SIGNING_ALGORITHMS": ["RS256", "ES256"],
        "OIDC_NEW_KEY_DELAY": 86400,
        "OIDC_AUTHORIZATION_LIFETIME": 3600,
        "OIDC_LIMIT_REQUESTS_PER_IP": "60/60s,1000/h",
        "OIDC_LIMIT_REGISTRATIONS_PER_IP": "20/h,100/d",
        "OIDC_REGISTRATION_RESPONSE_TYPES": ["code"],
        "OIDC_REGISTRATION_PKCE": True,
        "OIDC_REFRESH_LIFETIME": 2592000,
    }


def test_the_issuer_is_what_is_set_letter_by_letter(settings):
    for issuer in ("https://example.com", "https://example.com/", "https://example.com/o"):
        settings.PASSWORDLESS_AUTH_OIDC_ISSUER = issuer
        assert issuer == OidcSettings().OIDC_ISSUER


def test_the_settings_of_the_core_are_there_too():
    assert settings.BASE_URL == "http://testserver"
