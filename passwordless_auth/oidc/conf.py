"""The settings of the OpenID provider, named and read as the core's: ``PASSWORDLESS_AUTH_OIDC_…``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..conf import Settings


class OidcSettings(Settings):
    """Use the instance ``passwordless_auth.oidc.conf.settings``; the core's settings are there, too."""

    @property
    def OIDC_ISSUER(self) -> str:
        """The ``iss`` of all tokens and the ``issuer`` of discovery. Default: ``BASE_URL`` and a slash."""
        return str(self._get("OIDC_ISSUER", None) or self.BASE_URL + "/")

    @property
    def OIDC_SUBJECT(self) -> str:
        """What ``sub`` is for clients that do not say otherwise: ``"opaque"`` (one value for all clients),
        ``"pairwise"`` (another for each sector, OpenID Connect Core §8.1) or ``"auth0"`` (``email|`` or ``sms|`` and
        the opaque value, as Auth0's passwordless connections have it)."""
        return str(self._get("OIDC_SUBJECT", "opaque"))

    @property
    def OIDC_CLAIMS(self) -> str:
        """Dotted path of a function ``(user, scopes) -> dict`` with more claims about a person: a picture, an address,
        claims of the site's own. "": none."""
        return str(self._get("OIDC_CLAIMS", ""))

    @property
    def OIDC_SIGNING_KEYS(self) -> Sequence[Mapping[str, Any] | str]:
        """Signing keys from settings, PEM texts or JWKs: RSA, P-256, Ed25519. Of each algorithm the first private one
        signs, and all are published. Default: none, the keys are in the database, encrypted, and made on first use."""
        return list(self._get("OIDC_SIGNING_KEYS", []))

    @property
    def OIDC_SIGNING_ALGORITHMS(self) -> Sequence[str]:
        """The ``alg`` values that a client may choose for its ID tokens; a key is made for each. RS256 is one of them
        (OpenID Connect Discovery §3)."""
        return list(self._get("OIDC_SIGNING_ALGORITHMS", ["RS256", "ES256"]))

    @property
    def OIDC_NEW_KEY_DELAY(self) -> int:
        """Seconds after ``rotate_signing_keys`` before the new keys sign: until then they are only published, so that
        clients that keep the key set for a while have read it again."""
        return int(self._get("OIDC_NEW_KEY_DELAY", 86400))

    @property
    def OIDC_AUTHORIZATION_LIFETIME(self) -> int:
        """Seconds in which a person can finish what an authorization request asks of them."""
        return int(self._get("OIDC_AUTHORIZATION_LIFETIME", 3600))

    @property
    def OIDC_LIMIT_REQUESTS_PER_IP(self) -> str:
        """Authorization requests from one IP address (IPv6: one /64 network) whose person has to sign in, to choose or
        to allow: those are kept. Who is sent back at once does not count."""
        return str(self._get("OIDC_LIMIT_REQUESTS_PER_IP", "60/60s,1000/h"))

    @property
    def OIDC_LIMIT_REGISTRATIONS_PER_IP(self) -> str:
        """Clients that register themselves from one IP address (IPv6: one /64 network)."""
        return str(self._get("OIDC_LIMIT_REGISTRATIONS_PER_IP", "20/h,100/d"))

    @property
    def OIDC_REGISTRATION_RESPONSE_TYPES(self) -> Sequence[str]:
        """What clients that register themselves may ask for. With more than ``"code"`` they switch tokens in the
        browser on for themselves (RFC 9700 §2.1.2)."""
        types = self._get("OIDC_REGISTRATION_RESPONSE_TYPES", ["code"])
        return [" ".join(sorted(str(each).split())) for each in types]

    @property
    def OIDC_REGISTRATION_PKCE(self) -> bool:
        """Whether clients with a secret that register themselves have to use PKCE; those without one always do."""
        return bool(self._get("OIDC_REGISTRATION_PKCE", True))

    @property
    def OIDC_REFRESH_LIFETIME(self) -> int:
        """Seconds after the authorization in which it can be refreshed at all, however often it is used."""
        return int(self._get("OIDC_REFRESH_LIFETIME", 30 * 86400))


settings = OidcSettings()
