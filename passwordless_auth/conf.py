"""The settings: one typed property each, read at use, so that ``override_settings`` works everywhere.

Every setting is named ``PASSWORDLESS_AUTH_`` and the property's name. Defaults and limits come from the project's
security rules; ``manage.py check`` reports values that are wrong, ``check --deploy`` those weaker than the limits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import global_settings
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

PREFIX: Final = "PASSWORDLESS_AUTH_"

#: When this process began: a new secret key issues only after every process has had time to learn it.
_PROCESS_STARTED: Final = time.monotonic()


class Settings:
    """Reads ``PASSWORDLESS_AUTH_*`` from Django's settings; use the instance ``passwordless_auth.conf.settings``."""

    def _get(self, name: str, default: Any) -> Any:
        return getattr(django_settings, PREFIX + name, default)

    # -- where and who we are

    @property
    def BASE_URL(self) -> str:
        """Scheme and host under which people reach this site, such as ``"https://example.com"``. Required: links in
        messages are built from it alone, never from a request's headers."""
        value = self._get("BASE_URL", None)
        if not value:
            raise ImproperlyConfigured("PASSWORDLESS_AUTH_BASE_URL is not set, such as 'https://example.com'.")
        scheme, colon, rest = str(value).rstrip("/").partition(":")
        return scheme.lower() + colon + rest

    @property
    def is_https(self) -> bool:
        return self.BASE_URL.startswith("https://")

    @property
    def SITE_NAME(self) -> str:
        """The name that pages and messages use for this site. Default: the host of ``BASE_URL``."""
        return str(self._get("SITE_NAME", None) or urlsplit(self.BASE_URL).hostname or self.BASE_URL)

    @property
    def SECRET_KEYS(self) -> Sequence[tuple[str, str]]:
        """List of ``(key_id, key)``, newest first; each key at least 32 characters. Required. Codes and links are
        derived from them. To rotate, put a new pair first and keep the old ones (see ``NEW_KEY_DELAY``)."""
        value = self._get("SECRET_KEYS", None)
        if not value:
            raise ImproperlyConfigured("PASSWORDLESS_AUTH_SECRET_KEYS is not set: a list of (key_id, key) pairs.")
        return [(str(key_id), str(key)) for key_id, key in value]

    @property
    def NEW_KEY_DELAY(self) -> int:
        """Seconds after a process' start before the first of several ``SECRET_KEYS`` issues: until then it only
        verifies, so that processes that still run with the old list are never handed what they can't check."""
        return int(self._get("NEW_KEY_DELAY", 600))

    @property
    def issuing_key_id(self) -> str:
        keys = self.SECRET_KEYS
        settled = len(keys) == 1 or time.monotonic() - _PROCESS_STARTED >= self.NEW_KEY_DELAY
        return keys[0][0] if settled else keys[1][0]

    # -- who may sign in, and how

    @property
    def SIGN_UP(self) -> str:
        """``"open"``: the first sign-in with a new address makes an account. ``"closed"``: it does not, and the
        message says so."""
        return str(self._get("SIGN_UP", "open"))

    @property
    def METHODS(self) -> Sequence[str]:
        """Names of the methods that may be used: ``"magic_link"``, ``"one_time_code"``, ``"passkey"``,
        ``"recovery_code"`` and ``"totp"``; one of the first two at least, since an account begins with an address."""
        return list(self._get("METHODS", ["magic_link", "one_time_code", "passkey", "recovery_code", "totp"]))

    @property
    def POLICY(self) -> str:
        """Dotted path of the :class:`~passwordless_auth.policies.Policy` that decides what differs by host."""
        return str(self._get("POLICY", "passwordless_auth.policies.Policy"))

    @property
    def LEVEL_FOR_STAFF(self) -> str:
        """The level that a member of staff must reach to sign in: ``"single"`` (link or code), ``"multi"`` (two
        factors) or ``"phr"`` (a passkey)."""
        return str(self._get("LEVEL_FOR_STAFF", "single"))

    @property
    def LEVEL_FOR_GROUPS(self) -> Mapping[str, str]:
        """The level that members of a group must reach, as ``{"group name": "multi"}``. Costs one query a sign-in."""
        return dict(self._get("LEVEL_FOR_GROUPS", {}))

    @property
    def LEVEL_LIFETIME(self) -> int:
        """Seconds after its last proof for which a session counts as ``multi`` or ``phr`` (NIST SP 800-63B-4: AAL2, a
        day)."""
        return int(self._get("LEVEL_LIFETIME", 86400))

    @property
    def PENDING_LIFETIME(self) -> int:
        """Seconds that a half sign-in waits for its next step."""
        return int(self._get("PENDING_LIFETIME", 600))

    # -- passkeys

    @property
    def PASSKEY_RP_ID(self) -> str:
        """The domain that passkeys belong to (WebAuthn Level 3 §5.4.2). Default: the host of ``BASE_URL``. A passkey
        never works for another one: choose before the first one is made."""
        return str(self._get("PASSKEY_RP_ID", None) or urlsplit(self.BASE_URL).hostname or "")

    @property
    def PASSKEY_ORIGINS(self) -> Sequence[str]:
        """The origins whose pages may ask for passkeys, compared exactly. Default: ``[BASE_URL]``. An app's origin
        (``"android:apk-key-hash:…"``) goes here, too."""
        return list(self._get("PASSKEY_ORIGINS", None) or [self.BASE_URL])

    @property
    def PASSKEY_RELATED_ORIGINS(self) -> Sequence[str]:
        """Origins on other domains that use the same passkeys (Related Origin Requests, WebAuthn Level 3 §5.11). They
        are named in ``/.well-known/webauthn``."""
        return list(self._get("PASSKEY_RELATED_ORIGINS", []))

    @property
    def PASSKEY_ATTESTATION(self) -> str:
        """``"none"``, or ``"direct"``: ask authenticators what they are. It is verified when given, and needed for no
        sign-in."""
        return str(self._get("PASSKEY_ATTESTATION", "none"))

    @property
    def PASSKEY_AAGUIDS_ALLOWED(self) -> Sequence[str]:
        """AAGUIDs of the only authenticators that may be added; empty: any. Without attestation they are what the
        authenticator says."""
        return [str(aaguid).lower() for aaguid in self._get("PASSKEY_AAGUIDS_ALLOWED", [])]

    @property
    def PASSKEY_AAGUIDS_DENIED(self) -> Sequence[str]:
        """AAGUIDs of authenticators that may not be added."""
        return [str(aaguid).lower() for aaguid in self._get("PASSKEY_AAGUIDS_DENIED", [])]

    @property
    def PASSKEY_HINTS(self) -> Sequence[str]:
        """What the browser shows first, of ``"client-device"``, ``"hybrid"``, ``"security-key"`` (WebAuthn Level 3
        §5.8.7)."""
        return list(self._get("PASSKEY_HINTS", []))

    @property
    def PASSKEY_CHALLENGE_LIFETIME(self) -> int:
        """Seconds that a person has for the browser's passkey dialog."""
        return int(self._get("PASSKEY_CHALLENGE_LIFETIME", 300))

    @property
    def ENROLMENT_LIFETIME(self) -> int:
        """Seconds that the QR code or link for another device works."""
        return int(self._get("ENROLMENT_LIFETIME", 300))

    # -- recovery

    @property
    def RECOVERY_CODE_COUNT(self) -> int:
        """How many recovery codes a person gets."""
        return int(self._get("RECOVERY_CODE_COUNT", 10))

    @property
    def RECOVERED_LIFETIME(self) -> int:
        """Seconds that a person has after a recovery to add a passkey and sign in with it."""
        return int(self._get("RECOVERED_LIFETIME", 3600))

    @property
    def REPORT_LIFETIME(self) -> int:
        """Seconds that "this wasn't me" in a notice works."""
        return int(self._get("REPORT_LIFETIME", 7 * 86400))

    @property
    def FREEZE_LIFETIME(self) -> int:
        """Seconds after "this wasn't me" for which only a passkey or a recovery code may change the account."""
        return int(self._get("FREEZE_LIFETIME", 86400))

    # -- messages

    @property
    def CHANNELS(self) -> Mapping[str, Mapping[str, Any]]:
        """How messages leave, as ``{"email": {"BACKEND": dotted path, "OPTIONS": {…}}, "sms": {…}}``. ``sms`` is
        needed where ``SMS_COUNTRIES`` names a country."""
        return dict(self._get("CHANNELS", {"email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"}}))

    @property
    def SENDER(self) -> str:
        """Who sends: ``"thread"`` (a background thread of this process), ``"tasks"`` (Django Tasks) or ``"inline"``
        (within the request, for tests)."""
        return str(self._get("SENDER", "thread"))

    @property
    def CODE_IN_SUBJECT(self) -> bool:
        """Whether the subject of a mail begins with the code, so that a phone's notification shows it."""
        return bool(self._get("CODE_IN_SUBJECT", True))

    @property
    def SMS_COUNTRIES(self) -> Sequence[str]:
        """The countries (ISO 3166-1 alpha-2, such as ``["DE", "AT"]``) whose phone numbers may sign in, and get text
        messages. Empty: there is no sign-in by phone."""
        return [str(country) for country in self._get("SMS_COUNTRIES", [])]

    @property
    def SMS_LINKS(self) -> bool:
        """Whether text messages carry a link beside the code: for apps that open this site's links. In a browser the
        code is the better half, since the phone offers to type it."""
        return bool(self._get("SMS_LINKS", False))

    # -- codes and links

    @property
    def CODE_LIFETIME(self) -> int:
        """Seconds that a code works."""
        return int(self._get("CODE_LIFETIME", 300))

    @property
    def LINK_LIFETIME(self) -> int:
        """Seconds that a magic link works."""
        return int(self._get("LINK_LIFETIME", 300))

    @property
    def CODE_LENGTH(self) -> int:
        """Characters of a code."""
        return int(self._get("CODE_LENGTH", 6))

    @property
    def CODE_ALPHABET(self) -> str:
        """``"digits"``, or ``"letters"``: the twenty that can't be confused (RFC 8628 §6.1)."""
        return str(self._get("CODE_ALPHABET", "digits"))

    @property
    def CODE_TRIES(self) -> int:
        """Wrong codes after which a message is dead."""
        return int(self._get("CODE_TRIES", 3))

    # -- limits: "count/window, …" with s, m, h or d; "" is off

    @property
    def LIMIT_SENDS_PER_ADDRESS(self) -> str:
        """Messages to one address asked for by browsers that have never signed in to it."""
        return str(self._get("LIMIT_SENDS_PER_ADDRESS", "1/60s,5/15m,10/d"))

    @property
    def LIMIT_SENDS_PER_KNOWN_BROWSER(self) -> str:
        """Messages to one address asked for by one browser that has signed in to it before: a budget of its own, so
        that nobody else can use it up."""
        return str(self._get("LIMIT_SENDS_PER_KNOWN_BROWSER", "1/60s,5/15m,10/d"))

    @property
    def SMS_LIMIT_PER_NUMBER(self) -> str:
        """Text messages to one phone number asked for by browsers that have never signed in to it."""
        return str(self._get("SMS_LIMIT_PER_NUMBER", "1/60s,5/h,10/d"))

    @property
    def SMS_LIMIT_PER_KNOWN_BROWSER(self) -> str:
        """Text messages to one phone number asked for by one browser that has signed in to it before: a budget of its
        own."""
        return str(self._get("SMS_LIMIT_PER_KNOWN_BROWSER", "1/60s,5/h,10/d"))

    @property
    def SMS_LIMIT_NOTICES(self) -> str:
        """Notices by text message to one phone number. Beyond it, they go to the person's other addresses alone."""
        return str(self._get("SMS_LIMIT_NOTICES", "10/h,20/d"))

    @property
    def SMS_LIMIT_PER_PREFIX(self) -> str:
        """Text messages to numbers of one block (calling code and five digits) asked for by browsers that have never
        signed in to them."""
        return str(self._get("SMS_LIMIT_PER_PREFIX", "20/h"))

    @property
    def SMS_LIMIT_PER_IP(self) -> str:
        """Text messages that such browsers ask for from one IP address (IPv6: one /64 network)."""
        return str(self._get("SMS_LIMIT_PER_IP", "10/h"))

    @property
    def SMS_LIMIT_PER_NETWORK(self) -> str:
        """Text messages that such browsers ask for from one neighbourhood (IPv4: /24, IPv6: /48)."""
        return str(self._get("SMS_LIMIT_PER_NETWORK", "50/h"))

    @property
    def SMS_LIMIT_TOTAL(self) -> str:
        """Text messages that such browsers ask for in all."""
        return str(self._get("SMS_LIMIT_TOTAL", "500/d"))

    @property
    def SMS_PRICES(self) -> Mapping[str, Decimal]:
        """What a text message is reckoned at, by country, as ``{"DE": "0.08", "*": "0.10"}``: the dearest of your
        providers, for your longest text. ``*`` is for all others."""
        return {str(name): Decimal(str(price)) for name, price in self._get("SMS_PRICES", {"*": "0.10"}).items()}

    @property
    def SMS_CEILING_PER_DAY(self) -> Decimal | None:
        """What text messages may cost in 24 hours, by ``SMS_PRICES`` and in their currency. A quarter of it is kept for
        browsers that have signed in before. ``None``: no ceiling."""
        ceiling = self._get("SMS_CEILING_PER_DAY", "50")
        return None if ceiling is None else Decimal(str(ceiling))

    @property
    def SMS_BREAKER_MESSAGES(self) -> int:
        """From how many codes by text message within an hour, to one country or one block, the breaker judges."""
        return int(self._get("SMS_BREAKER_MESSAGES", 15))

    @property
    def SMS_BREAKER_UNUSED(self) -> float:
        """The share of them that nobody typed from which on text messages are paused there, from 0 to 1."""
        return float(self._get("SMS_BREAKER_UNUSED", 0.7))

    @property
    def SMS_BREAKER_PAUSE(self) -> int:
        """For how long, in seconds."""
        return int(self._get("SMS_BREAKER_PAUSE", 3600))

    @property
    def LIMIT_STARTS_PER_IP(self) -> str:
        """Sign-ins asked for from one IP address (IPv6: one /64 network)."""
        return str(self._get("LIMIT_STARTS_PER_IP", "50/h"))

    @property
    def LIMIT_FAILURES_PER_IP(self) -> str:
        """Wrong codes and links from one IP address (IPv6: one /64 network)."""
        return str(self._get("LIMIT_FAILURES_PER_IP", "20/10m"))

    @property
    def LIMIT_FAILURES_PER_ACCOUNT(self) -> str:
        """Wrong codes for one address from browsers that are strangers to it. Beyond it, messages to the address
        carry the link only. A browser that has signed in to it has a budget of its own, of the same size."""
        return str(self._get("LIMIT_FAILURES_PER_ACCOUNT", "10/h,20/d"))

    @property
    def LIMIT_PASSKEY_STARTS_PER_IP(self) -> str:
        """Passkey dialogs begun from one IP address (IPv6: one /64 network). The sign-in page begins one by itself."""
        return str(self._get("LIMIT_PASSKEY_STARTS_PER_IP", "60/60s,1000/h"))

    @property
    def LIMIT_RECOVERY_FAILURES_PER_ACCOUNT(self) -> str:
        """Wrong recovery codes for one address."""
        return str(self._get("LIMIT_RECOVERY_FAILURES_PER_ACCOUNT", "5/h"))

    @property
    def LIMIT_TOTP_FAILURES_PER_ACCOUNT(self) -> str:
        """Wrong codes of an authenticator app for one account."""
        return str(self._get("LIMIT_TOTP_FAILURES_PER_ACCOUNT", "5/15m,20/d"))

    @property
    def LIMIT_STORE(self) -> str:
        """Where limits count: ``"database"``, or the alias of a Redis cache in ``CACHES``."""
        return str(self._get("LIMIT_STORE", "database"))

    @property
    def TRUSTED_PROXY_COUNT(self) -> int:
        """How many proxies in front of this site append to ``X-Forwarded-For``. 0: the header is ignored."""
        return int(self._get("TRUSTED_PROXY_COUNT", 0))

    @property
    def OUTBOUND_NETWORKS(self) -> Sequence[str]:
        """Networks that this server may call besides the public internet, such as ``["10.20.0.0/16"]``: where Clients
        in an intranet are told that a session has ended. This machine's own (``127.0.0.0/8``) is one of them only if
        it is named, or while ``DEBUG`` is on."""
        return [str(network) for network in self._get("OUTBOUND_NETWORKS", [])]

    # -- sessions

    @property
    def SESSION_IDLE(self) -> int:
        """Seconds without a request after which a session ends."""
        return int(self._get("SESSION_IDLE", 12 * 3600))

    @property
    def SESSION_LIFETIME(self) -> int:
        """Seconds after the sign-in at which a session ends in any case."""
        return int(self._get("SESSION_LIFETIME", 30 * 86400))

    @property
    def STEP_UP_LIFETIME(self) -> int:
        """Seconds for which a proof counts as recent (``recent_sign_in_required``)."""
        return int(self._get("STEP_UP_LIFETIME", 600))

    # -- how long rows stay (passwordless_purge)

    @property
    def RETENTION_CHALLENGES(self) -> int:
        """Seconds that challenges and their deliveries are kept after they ran out."""
        return int(self._get("RETENTION_CHALLENGES", 86400))

    @property
    def RETENTION_ADDRESS_MARKS(self) -> int:
        """Seconds that an address stays marked after its last message came back or was reported as spam."""
        return int(self._get("RETENTION_ADDRESS_MARKS", 90 * 86400))

    @property
    def RETENTION_REQUESTERS(self) -> int:
        """Seconds that ended sign-ins, and IP addresses and user agents anywhere, are kept."""
        return int(self._get("RETENTION_REQUESTERS", 90 * 86400))

    @property
    def RETENTION_EVENTS(self) -> int:
        """Seconds that events are kept."""
        return int(self._get("RETENTION_EVENTS", 365 * 86400))

    @property
    def RETENTION_KNOWN_BROWSERS(self) -> int:
        """Seconds after its last sign-in that a browser stays known to an account."""
        return int(self._get("RETENTION_KNOWN_BROWSERS", 400 * 86400))


settings = Settings()


def take_over_login_urls() -> None:
    """Where the host left ``LOGIN_URL`` and ``LOGIN_REDIRECT_URL`` at Django's defaults, let them mean our pages, so
    that ``login_required`` works without another setting. Called once, when the app is ready."""
    for name, ours in (("LOGIN_URL", "passwordless_auth:login"), ("LOGIN_REDIRECT_URL", "passwordless_auth:account")):
        if getattr(django_settings, name) == getattr(global_settings, name):
            setattr(django_settings, name, ours)
