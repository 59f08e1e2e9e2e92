"""System checks: what is wrong or dangerous in the settings, with a stable id and a hint each.

``E…`` would not work or would not be safe. ``W0…`` may surprise. ``W1…`` (``check --deploy``) is weaker than the
project's security rules allow. ``W2…`` and ``E2…`` look into the database (``check --database default``).
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DatabaseError
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from django.utils.translation import to_language

from . import channels, messages, sealing, throttling
from .channels.email import WITHOUT_TRACKING_SWITCH, EmailChannel
from .channels.sms import measure
from .channels.twilio import TwilioSender
from .conf import settings
from .derivation import ALPHABETS
from .identifiers import Identifier, example_number, is_country
from .models import Challenge, Identity, Level, RecoveryCode
from .policies import Policy

Message = checks.CheckMessage

#: Session engines whose sessions can be ended from elsewhere. (signed_cookies live in the browser.)
ENGINES: Final = {f"django.contrib.sessions.backends.{name}" for name in ("db", "cached_db", "cache", "file")}
#: Caches that lose sessions or keep them in one process.
CACHES_OF_ONE_PROCESS: Final = {
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
}
METHODS: Final = ("magic_link", "one_time_code", "passkey", "recovery_code", "totp")
#: Of which one is needed: an account begins with a proven address.
METHODS_OF_MESSAGES: Final = ("magic_link", "one_time_code")
SENDERS: Final = ("thread", "tasks", "inline")
DAY: Final = 86400
MILLION: Final = 1_000_000
YEAR: Final = 366 * DAY
LIMITS: Final = (
    "LIMIT_SENDS_PER_ADDRESS",
    "LIMIT_SENDS_PER_KNOWN_BROWSER",
    "SMS_LIMIT_PER_NUMBER",
    "SMS_LIMIT_PER_KNOWN_BROWSER",
    "SMS_LIMIT_NOTICES",
    "SMS_LIMIT_PER_PREFIX",
    "SMS_LIMIT_PER_IP",
    "SMS_LIMIT_PER_NETWORK",
    "SMS_LIMIT_TOTAL",
    "LIMIT_STARTS_PER_IP",
    "LIMIT_FAILURES_PER_IP",
    "LIMIT_FAILURES_PER_ACCOUNT",
    "LIMIT_PASSKEY_STARTS_PER_IP",
    "LIMIT_RECOVERY_FAILURES_PER_ACCOUNT",
    "LIMIT_TOTP_FAILURES_PER_ACCOUNT",
)


#: Channels that lead nowhere but to the developer.
CHANNELS_OF_ONE_MACHINE: Final = ("passwordless_auth.channels.console.", "passwordless_auth.channels.memory.")


def _error(number: int, text: str, hint: str) -> Message:
    return checks.Error(text, hint=hint, id=f"passwordless_auth.E{number:03}")


def _warning(number: int, text: str, hint: str) -> Message:
    return checks.Warning(text, hint=hint, id=f"passwordless_auth.W{number:03}")


def check_base_url(**_kwargs: Any) -> Iterator[Message]:
    hint = "Set PASSWORDLESS_AUTH_BASE_URL to scheme and host, such as 'https://example.com'."
    try:
        url = urlsplit(settings.BASE_URL)
    except (ImproperlyConfigured, ValueError):
        yield _error(1, "PASSWORDLESS_AUTH_BASE_URL is missing.", hint)
        return
    if url.scheme not in {"http", "https"} or not url.hostname or url.path or url.query or url.fragment:
        yield _error(1, "PASSWORDLESS_AUTH_BASE_URL is not scheme and host alone.", hint)


def check_secret_keys(**_kwargs: Any) -> Iterator[Message]:
    hint = (
        "Set PASSWORDLESS_AUTH_SECRET_KEYS = [('2026-11', '…')] with at least 32 random characters, for example from "
        '`python -c "import secrets; print(secrets.token_urlsafe(48))"`, and keep it out of the repository.'
    )
    try:
        keys = settings.SECRET_KEYS
    except (ImproperlyConfigured, TypeError, ValueError):
        yield _error(2, "PASSWORDLESS_AUTH_SECRET_KEYS is missing, or not a list of (key_id, key).", hint)
        return
    if any(len(key) < 32 for _key_id, key in keys):
        yield _error(3, "A key in PASSWORDLESS_AUTH_SECRET_KEYS is shorter than 32 characters.", hint)
    ids = [key_id for key_id, _key in keys]
    if len(set(ids)) != len(ids) or any(not key_id or len(key_id) > 64 or ":" in key_id for key_id in ids):
        yield _error(
            4,
            "The key ids in PASSWORDLESS_AUTH_SECRET_KEYS are not distinct names of 1 to 64 characters.",
            "Give every key an id of its own, without a colon, and never use an id for a second key.",
        )


def check_choices(**_kwargs: Any) -> Iterator[Message]:
    for name, allowed in (
        ("SIGN_UP", ("open", "closed")),
        ("SENDER", SENDERS),
        ("CODE_ALPHABET", tuple(ALPHABETS)),
        ("LEVEL_FOR_STAFF", tuple(Level.values)),
        ("PASSKEY_ATTESTATION", ("none", "direct")),
    ):
        if getattr(settings, name) not in allowed:
            yield _error(
                5, f"PASSWORDLESS_AUTH_{name} is {getattr(settings, name)!r}.", f"Use one of {', '.join(allowed)}."
            )
    if not set(settings.METHODS) & set(METHODS_OF_MESSAGES) or not set(settings.METHODS) <= set(METHODS):
        yield _error(
            6,
            "PASSWORDLESS_AUTH_METHODS has no message to prove an address with, or names a method that is not there.",
            f"Use {' or '.join(METHODS_OF_MESSAGES)}, and any of {', '.join(METHODS[2:])}.",
        )
    highest = highest_level()
    for setting, levels in (
        ("LEVEL_FOR_STAFF", [settings.LEVEL_FOR_STAFF]),
        ("LEVEL_FOR_GROUPS", list(settings.LEVEL_FOR_GROUPS.values())),
    ):
        if any(level not in Level.values for level in levels) and setting == "LEVEL_FOR_GROUPS":
            yield _error(5, f"PASSWORDLESS_AUTH_{setting} names no level.", f"Use one of {', '.join(Level.values)}.")
        elif any(highest < _rank(level) for level in levels):
            yield _error(
                7,
                f"PASSWORDLESS_AUTH_{setting} asks for a level that no installed method reaches.",
                "Nobody whom it is for could sign in. Add 'passkey' (or for 'multi', 'totp') to METHODS.",
            )


def highest_level() -> int:
    """The rank of the highest level that the methods of the settings reach."""
    if "passkey" in settings.METHODS:
        return Level(Level.PHR).rank
    return Level(Level.MULTI if "totp" in settings.METHODS else Level.SINGLE).rank


def _rank(level: str) -> int:
    return Level(level).rank if level in Level.values else 0


def check_passkeys(**_kwargs: Any) -> Iterator[Message]:
    """What WebAuthn Level 3 §5.1.3 and §5.11 would refuse in every browser."""
    if "passkey" not in settings.METHODS:
        return
    if any(True for _wrong in check_base_url()):
        return  # what follows from it would be told a second time
    rp_id, origins, related = settings.PASSKEY_RP_ID, settings.PASSKEY_ORIGINS, settings.PASSKEY_RELATED_ORIGINS
    for origin in [*origins, *related]:
        if not origin.startswith("android:apk-key-hash:"):
            yield from _check_origin(origin, rp_id, is_related=origin in related)
    # The part that a browser counts: "example" of example.com and of example.org is one (the real rule knows co.uk).
    if len({origin.rpartition(".")[0].rpartition(".")[2].rpartition("//")[2] for origin in related}) > 5:
        yield _warning(
            26, "PASSKEY_RELATED_ORIGINS has more than five labels.", "Browsers read only five (WebAuthn L3 §5.11)."
        )


def _check_origin(origin: str, rp_id: str, *, is_related: bool) -> Iterator[Message]:
    try:
        url = urlsplit(origin)
    except ValueError:
        url = urlsplit("")
    host = url.hostname or ""
    if url.scheme not in {"https", "http"} or not host or origin != f"{url.scheme}://{url.netloc}":
        yield _error(23, f"{origin!r} is no origin.", "Write scheme and host alone: 'https://example.com'.")
        return
    if url.scheme == "http" and not _is_of_this_machine(host) and origin != settings.BASE_URL:
        yield _warning(24, f"{origin} is not https: browsers offer no passkeys there.", "Use https.")
    if not is_related and host != rp_id and not host.endswith(f".{rp_id}"):
        yield _error(
            25,
            f"The host of {origin} does not belong to PASSWORDLESS_AUTH_PASSKEY_RP_ID ({rp_id}).",
            "The RP ID is the host itself or a parent domain of it; other domains go to PASSKEY_RELATED_ORIGINS.",
        )


def _is_of_this_machine(host: str) -> bool:
    """Where browsers do without https, and the host name of Django's test client."""
    return host in {"localhost", "testserver", "127.0.0.1"} or host.endswith(".localhost")


def check_numbers(**_kwargs: Any) -> Iterator[Message]:
    for name, least, most in (
        ("CODE_LIFETIME", 1, DAY),
        ("LINK_LIFETIME", 1, DAY),
        ("CODE_LENGTH", 4, 32),
        ("CODE_TRIES", 1, 100),
        ("NEW_KEY_DELAY", 0, YEAR),
        ("TRUSTED_PROXY_COUNT", 0, 100),
        ("SMS_BREAKER_MESSAGES", 1, 1_000_000),
        ("SMS_BREAKER_UNUSED", 0, 1),
        ("SMS_BREAKER_PAUSE", 60, YEAR),
        ("SESSION_IDLE", 60, YEAR),
        ("SESSION_LIFETIME", 60, YEAR),
        ("STEP_UP_LIFETIME", 30, YEAR),
        ("LEVEL_LIFETIME", 60, YEAR),
        ("PENDING_LIFETIME", 30, DAY),
        ("PASSKEY_CHALLENGE_LIFETIME", 30, DAY),
        ("ENROLMENT_LIFETIME", 30, DAY),
        ("REPORT_LIFETIME", 60, YEAR),
        ("FREEZE_LIFETIME", 0, YEAR),
        ("RECOVERY_CODE_COUNT", 1, 100),
        ("RECOVERED_LIFETIME", 60, YEAR),
        ("RETENTION_CHALLENGES", 0, 100 * YEAR),
        ("RETENTION_ADDRESS_MARKS", 0, 100 * YEAR),
        ("RETENTION_REQUESTERS", 0, 100 * YEAR),
        ("RETENTION_EVENTS", 0, 100 * YEAR),
        ("RETENTION_KNOWN_BROWSERS", 0, 100 * YEAR),
    ):
        try:
            wrong = not least <= getattr(settings, name) <= most
        except (TypeError, ValueError):
            wrong = True
        if wrong:
            yield _error(8, f"PASSWORDLESS_AUTH_{name} is not a number from {least} to {most}.", "Correct the number.")


def check_money(**_kwargs: Any) -> Iterator[Message]:
    for name in ("SMS_PRICES", "SMS_CEILING_PER_DAY"):
        try:
            given = getattr(settings, name)
            amounts = given.values() if isinstance(given, Mapping) else [given]
            wrong = any(amount is not None and not 0 <= amount < MILLION for amount in amounts)
        except (ArithmeticError, AttributeError, TypeError, ValueError):
            wrong = True
        if wrong:
            hint = "Write amounts as '0.08', without a currency."
            yield _error(8, f"PASSWORDLESS_AUTH_{name} is not made of amounts below a million.", hint)


def check_policy_and_channels(**_kwargs: Any) -> Iterator[Message]:
    try:
        policy = import_string(settings.POLICY)
        if not issubclass(policy, Policy):
            raise TypeError("it is not a subclass of passwordless_auth.policies.Policy")
    except (ImportError, TypeError) as error:
        yield _error(9, f"PASSWORDLESS_AUTH_POLICY can't be used: {error}.", "Name a subclass of Policy.")
    for alias in dict.fromkeys(["email", *(["sms"] if settings.SMS_COUNTRIES else []), *settings.CHANNELS]):
        hint = f"Set PASSWORDLESS_AUTH_CHANNELS['{alias}'] to {{'BACKEND': …, 'OPTIONS': {{…}}}}."
        try:
            channels.channel(alias)
        except (ImproperlyConfigured, TypeError, ValueError) as error:
            yield _error(10, str(error), hint)


def check_sms(**_kwargs: Any) -> Iterator[Message]:
    unknown = [country for country in settings.SMS_COUNTRIES if not is_country(country)]
    if unknown:
        yield _error(
            27,
            f"PASSWORDLESS_AUTH_SMS_COUNTRIES names what is no country: {', '.join(unknown)}.",
            "List the two capital letters of each country (ISO 3166-1 alpha-2), such as ['DE', 'AT'].",
        )


def check_outbound_networks(**_kwargs: Any) -> Iterator[Message]:
    hint = "List networks, such as ['10.20.0.0/16']; an address of one machine is a network, too."
    try:
        for name in settings.OUTBOUND_NETWORKS:
            if ip_network(name).prefixlen == 0:
                raise ValueError(f"{name} is every address there is.")
    except ValueError as error:
        yield _error(31, f"PASSWORDLESS_AUTH_OUTBOUND_NETWORKS: {error}", hint)


def check_limits(**_kwargs: Any) -> Iterator[Message]:
    for name in LIMITS:
        try:
            throttling.parse(getattr(settings, name))
        except ImproperlyConfigured as error:
            yield _error(11, f"PASSWORDLESS_AUTH_{name}: {error}", "Write limits as '1/60s,5/15m,10/d', or '' for off.")
    store = settings.LIMIT_STORE
    if store == "database":
        return
    backend = django_settings.CACHES.get(store, {}).get("BACKEND")
    if backend not in throttling.CACHES_THAT_COUNT:
        yield _error(
            12,
            f"PASSWORDLESS_AUTH_LIMIT_STORE is {store!r}, which is not a cache whose counting can be relied on.",
            "Use 'database', or the alias of a Redis cache in CACHES.",
        )


def check_sessions(**_kwargs: Any) -> Iterator[Message]:
    engine = django_settings.SESSION_ENGINE
    if not _is_known_engine(engine):
        yield _error(
            13,
            f"Sessions of the engine {engine} can't be ended from elsewhere.",
            "Use one of Django's engines db, cached_db, cache or file: signing out must work on the server.",
        )
        return
    if engine.endswith((".cache", ".cached_db")):
        backend = django_settings.CACHES.get(django_settings.SESSION_CACHE_ALIAS, {}).get("BACKEND")
        if backend in CACHES_OF_ONE_PROCESS and engine.endswith(".cache"):
            yield _error(
                14,
                "Sessions are kept in a cache that loses them, or that only one process sees.",
                "Point SESSION_CACHE_ALIAS to a shared cache such as Redis, or use the session engine db.",
            )


def _is_known_engine(engine: str) -> bool:
    """One of Django's, or built on one: a host may add columns to its sessions."""
    if engine in ENGINES:
        return True
    try:
        store = import_string(f"{engine}.SessionStore")
        known = tuple(import_string(f"{name}.SessionStore") for name in sorted(ENGINES))
    except ImportError:
        return False
    return issubclass(store, known)


def check_wiring(**_kwargs: Any) -> Iterator[Message]:
    ours = "passwordless_auth.middleware.SignInMiddleware"
    middleware = list(django_settings.MIDDLEWARE)
    if ours not in middleware:
        yield _error(15, f"{ours} is not in MIDDLEWARE.", "Add it at the end.")
    else:
        before = ("SessionMiddleware", "AuthenticationMiddleware")
        later = [path for path in middleware[middleware.index(ours) :] if path.endswith(before)]
        if later:
            yield _error(15, f"{ours} comes before {later[0]}.", "Move it behind Django's own, to the end.")
    if "passwordless_auth.backends.SignInBackend" not in django_settings.AUTHENTICATION_BACKENDS:
        yield _error(
            16,
            "passwordless_auth.backends.SignInBackend is not in AUTHENTICATION_BACKENDS.",
            "Add it: sessions that it made would not be recognised.",
        )
    if not apps.is_installed("django_otp"):
        yield _error(17, "django_otp is not in INSTALLED_APPS.", "Add it before passwordless_auth.")
    try:
        reverse("passwordless_auth:login")
    except NoReverseMatch:
        yield _error(
            18, "The URLs are missing.", 'Add path("", include("passwordless_auth.urls")) to the root URLconf.'
        )


def check_sender(**_kwargs: Any) -> Iterator[Message]:
    if settings.SENDER == "tasks":
        yield from _check_tasks()
    elif settings.SENDER == "thread":
        uwsgi = sys.modules.get("uwsgi")
        if uwsgi is not None and not getattr(uwsgi, "opt", {}).get("enable-threads"):
            yield _warning(
                19,
                "uWSGI runs without threads: the background sender would never send.",
                "Start it with --enable-threads, or set PASSWORDLESS_AUTH_SENDER to 'tasks'.",
            )
        if os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or os.environ.get("K_SERVICE"):
            yield _warning(
                20,
                "This looks like a serverless host, which stops between requests: messages may leave late.",
                "Set PASSWORDLESS_AUTH_SENDER to 'tasks', and run passwordless_send on a schedule.",
            )


def _check_tasks() -> Iterator[Message]:
    if importlib.util.find_spec("django.tasks") is None and importlib.util.find_spec("django_tasks") is None:
        yield _error(
            21,
            "PASSWORDLESS_AUTH_SENDER is 'tasks', but there is no task framework.",
            "Use Django 6 or newer, or install passwordless-auth[tasks].",
        )
        return
    default = getattr(django_settings, "TASKS", {}).get("default", {}).get("BACKEND", "")
    if not default or default.endswith("ImmediateBackend"):
        yield _warning(
            22,
            "The default task backend is immediate: messages are sent within the request.",
            "A hanging mail server would keep people waiting. Configure TASKS with a queue and a worker.",
        )


def check_receipts(**_kwargs: Any) -> Iterator[Message]:
    """Whether what a provider knows of a message can reach us."""
    for esp_name, hook in _anymail_in_use():
        if not apps.is_installed("anymail"):
            yield _warning(
                27,
                f"Mail leaves by {esp_name} with Anymail, but 'anymail' is not in INSTALLED_APPS.",
                "Add it: what the provider tells (delivered, came back) is heard only then.",
            )
            continue
        try:
            reverse(hook)
        except NoReverseMatch:
            yield _warning(
                28,
                f"Mail leaves by {esp_name} with Anymail, but nobody hears what becomes of it.",
                'Add path("anymail/", include("anymail.urls")) to the root URLconf, and enter the address of the '
                "webhook at the provider: see the how-to on mail providers.",
            )


def check_texts(**_kwargs: Any) -> Iterator[Message]:
    """Providers bill segments: a long name of the site, or one letter that GSM lacks, doubles what codes cost."""
    long, odd = [], set()
    for kind, to, language, is_new in _texts() if _sends_texts() else ():
        try:
            text = messages.sample(kind, to, medium="sms", language=language, is_new=is_new).text
        except Exception:  # noqa: BLE001, S112 (settings that other checks tell; a template tells when it is used)
            continue
        size = measure(text)
        if size.segments > 1:
            long.append(f"{kind} ({language}, {to.country}): {size.segments}")
            odd |= {letter for letter in text if measure(letter).alphabet == "ucs2"}
    if long:
        why = f" These letters are not of the GSM alphabet: {' '.join(sorted(odd))}." if odd else ""
        yield _warning(
            30,
            f"Text messages take more than one segment: {'; '.join(dict.fromkeys(long))}.",
            "Each is billed. Shorten PASSWORDLESS_AUTH_SITE_NAME, or the template messages/<kind>.sms.txt: one segment "
            f"holds 160 letters, or 70 where one of them is not of the GSM alphabet.{why}",
        )


def _sends_texts() -> bool:
    try:
        return bool(settings.SMS_COUNTRIES) and channels.channel("sms").medium == "sms"
    except Exception:  # noqa: BLE001 (told by check_policy_and_channels)
        return False


def _texts() -> Iterator[tuple[str, Identifier, str, bool]]:
    """The texts for phones that differ: by kind, language, and countries that have templates of their own."""
    numbers = {country: example_number(country) for country in settings.SMS_COUNTRIES if is_country(country)}
    first = next(filter(None, numbers.values()), None)
    for kind in messages.ASKED_FOR:
        own = [to for country, to in numbers.items() if to and to is not first and _has_own_text(kind, country)]
        for language in _languages():
            for to in filter(None, [first, *own]):
                yield kind, to, language, True
                yield kind, to, language, False


def _has_own_text(kind: str, country: str) -> bool:
    try:
        get_template(f"passwordless_auth/messages/{kind}.sms.{country.lower()}.txt")
    except TemplateDoesNotExist:
        return False
    except TemplateSyntaxError:  # told when it is used
        pass
    return True


def _languages() -> list[str]:
    """Those that our pages speak: of Django's ``LANGUAGES`` what we, or the host, have words for."""
    if not django_settings.USE_I18N:
        return [django_settings.LANGUAGE_CODE]
    folders = [Path(__file__).parent / "locale", *map(Path, django_settings.LOCALE_PATHS)]
    ours = {"en", *(to_language(found.name) for folder in folders for found in folder.glob("*/"))}
    return [code for code, _name in django_settings.LANGUAGES if code.lower() in ours]


def check_callbacks(**_kwargs: Any) -> Iterator[Message]:
    for alias in settings.CHANNELS if settings.SMS_COUNTRIES else ():
        try:
            channel = channels.channel(alias)
        except Exception:  # noqa: BLE001, S112 (told by check_policy_and_channels)
            continue
        if isinstance(channel, TwilioSender) and not channel.status_callback:
            yield _warning(
                29,
                f"Nobody hears what becomes of the messages of PASSWORDLESS_AUTH_CHANNELS[{alias!r}].",
                "Add 'status_callback': True, and the auth_token, to its OPTIONS: who waits for a code then learns "
                "that it has not arrived. Twilio has to reach BASE_URL for that.",
            )


def _anymail_in_use() -> Iterator[tuple[str, str]]:
    """Name and webhook of each provider that a channel sends with."""
    for alias in settings.CHANNELS:
        try:
            channel = channels.channel(alias)
            if not isinstance(channel, EmailChannel):
                continue
            connection = channel.connection()
        except Exception:  # noqa: BLE001, S112 (told by check_policy_and_channels, or by Anymail itself)
            continue
        for base in type(connection).__mro__:
            package, _dot, name = base.__module__.rpartition(".")
            if package == "anymail.backends" and name not in {"base", "base_requests", "console", "test"}:
                yield connection.esp_name, f"anymail:{name}_tracking_webhook"
                break


def check_click_tracking(**_kwargs: Any) -> Iterator[Message]:
    """Where Anymail can tell the provider to leave links alone, the channel does; elsewhere only its owner can."""
    for esp_name, _hook in _anymail_in_use():
        if esp_name in WITHOUT_TRACKING_SWITCH:
            yield _weak(
                119,
                f"Whether {esp_name} rewrites the links of messages to count clicks can't be decided from here.",
                "Switch click tracking off at the provider: it would hand sign-in links to somebody else. Then silence "
                "this.",
            )


def _weak(number: int, text: str, hint: str = "See the security page of the documentation.") -> Message:
    return _warning(number, text, hint)


def check_weak_numbers(**_kwargs: Any) -> Iterator[Message]:
    for number, name, limit in (
        (102, "CODE_LIFETIME", 600),
        (103, "LINK_LIFETIME", 600),
        (104, "CODE_TRIES", 5),
        (105, "SESSION_LIFETIME", 30 * 86400),
        (106, "STEP_UP_LIFETIME", 900),
        (115, "ENROLMENT_LIFETIME", 600),
        (116, "PENDING_LIFETIME", 900),
        (117, "LEVEL_LIFETIME", 86400),
    ):
        if _number(name) > limit:
            yield _weak(number, f"PASSWORDLESS_AUTH_{name} is above {limit}.")
    if _number("CODE_LENGTH") * math.log2(len(ALPHABETS.get(settings.CODE_ALPHABET, "01"))) < 6 * math.log2(10):
        yield _weak(107, "Codes have less than the 20 bits that NIST SP 800-63B-4 asks for.")
    for name in LIMITS:
        if not getattr(settings, name):
            yield _weak(108, f"PASSWORDLESS_AUTH_{name} is off.")
    if any(limit.count > 100 for limit in _limits("LIMIT_FAILURES_PER_ACCOUNT")):
        yield _weak(109, "PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_ACCOUNT allows more than 100 guesses.")
    for alias, wanted in settings.CHANNELS.items() if settings.SMS_COUNTRIES else ():
        if str(wanted.get("BACKEND", "")).startswith(CHANNELS_OF_ONE_MACHINE):
            yield _weak(120, f"PASSWORDLESS_AUTH_CHANNELS[{alias!r}] sends to nobody: it is for development and tests.")
    if settings.SENDER == "inline":
        yield _weak(110, "PASSWORDLESS_AUTH_SENDER is 'inline': messages are sent within the request.")


def _number(name: str) -> int:
    """A number of the settings; 0 for what is none, which ``check_numbers`` tells."""
    try:
        return int(getattr(settings, name))
    except (TypeError, ValueError):
        return 0


def check_weak_cookies(**_kwargs: Any) -> Iterator[Message]:
    https = str(getattr(django_settings, "PASSWORDLESS_AUTH_BASE_URL", "")).startswith("https://")
    if not https:
        yield _weak(101, "PASSWORDLESS_AUTH_BASE_URL is not https: links and cookies can be read on the way.")
    if django_settings.SESSION_COOKIE_SAMESITE not in {"Lax", "Strict"} or not django_settings.SESSION_COOKIE_HTTPONLY:
        yield _weak(111, "The session cookie is not HttpOnly with SameSite Lax or Strict.")
    if https and not (django_settings.SESSION_COOKIE_SECURE and django_settings.CSRF_COOKIE_SECURE):
        yield _weak(112, "SESSION_COOKIE_SECURE or CSRF_COOKIE_SECURE is off.")
    if https and not django_settings.SESSION_COOKIE_NAME.startswith("__Host-"):
        yield _weak(
            113,
            "The session cookie's name does not begin with '__Host-'.",
            "Set SESSION_COOKIE_NAME = '__Host-sessionid': then no other host of the domain can plant one.",
        )
    if django_settings.SESSION_COOKIE_DOMAIN:
        yield _weak(114, "SESSION_COOKIE_DOMAIN shares the session with every host of the domain.")


def check_admin(**_kwargs: Any) -> Iterator[Message]:
    """A level that is asked for at one door and not at another guards nothing."""
    if _rank(settings.LEVEL_FOR_STAFF) <= Level.SINGLE.rank or not apps.is_installed("django.contrib.admin"):
        return
    admin: Any = apps.get_app_config("admin")
    site = import_string(admin.default_site)
    if not hasattr(site, "reaches_level"):
        yield _weak(
            118,
            "The default admin site does not ask for PASSWORDLESS_AUTH_LEVEL_FOR_STAFF: a password, or a session whose "
            "level has faded, opens it.",
            "Put 'passwordless_auth.admin.apps.PasswordlessAdminConfig' into INSTALLED_APPS in the place of "
            "'django.contrib.admin'. With an AdminSite of your own, add PasswordlessAdminMixin to it and silence this.",
        )


def _limits(name: str) -> Sequence[throttling.Limit]:
    try:
        return throttling.parse(getattr(settings, name))
    except ImproperlyConfigured:
        return ()


def check_keys_in_use(databases: Sequence[str] | None = None, **_kwargs: Any) -> Iterator[Message]:
    """Refuse to drop a key that rows still name: their sessions could not be ended any more."""
    if not databases or "default" not in databases:
        return
    try:
        kept = {key_id for key_id, _key in settings.SECRET_KEYS}
        dropped = (
            any(sealed.needs_other_than(kept) for sealed in sealing.everything())
            or Challenge.objects.filter(state="open").exclude(key_id__in=kept).exists()
            or RecoveryCode.objects.filter(used_at=None).exclude(key_id__in=kept).exists()
        )
    except (DatabaseError, ImproperlyConfigured, ValueError, TypeError):
        return
    if dropped:
        yield _error(
            201,
            "Rows name a key that PASSWORDLESS_AUTH_SECRET_KEYS no longer has.",
            "Put the key back at the end of the list until its rows have ended (SESSION_LIFETIME), then drop it.",
        )


def check_unimported_users(databases: Sequence[str] | None = None, **_kwargs: Any) -> Iterator[Message]:
    if not databases or "default" not in databases:
        return
    model = get_user_model()
    field = getattr(model, "EMAIL_FIELD", "email")
    try:
        model._meta.get_field(field)
        known = Identity.objects.filter(is_primary=True).values("user")
        addressed = model._default_manager.filter(**{f"{field}__isnull": False}).exclude(**{field: ""})
        left = addressed.exclude(pk__in=known).count()
    except (DatabaseError, FieldDoesNotExist):  # no tables yet; no such field
        return
    if left:
        yield _warning(
            202,
            f"{left} users have an e-mail address that is not imported.",
            "Run `manage.py passwordless_import_identities --dry-run`, then without --dry-run.",
        )


_CHECKS: Final[Iterable[Callable[..., Iterator[Message]]]] = (
    check_base_url,
    check_secret_keys,
    check_choices,
    check_passkeys,
    check_numbers,
    check_money,
    check_policy_and_channels,
    check_sms,
    check_limits,
    check_outbound_networks,
    check_sessions,
    check_wiring,
    check_sender,
    check_receipts,
    check_callbacks,
    check_texts,
)


def register_all() -> None:
    for check in _CHECKS:
        checks.register(listed(check), checks.Tags.security)
    for check in (check_weak_numbers, check_weak_cookies, check_admin, check_click_tracking):
        checks.register(listed(check), checks.Tags.security, deploy=True)
    for check in (check_keys_in_use, check_unimported_users):
        checks.register(listed(check), checks.Tags.database)


@cache  # Django keeps a set: an app that is made ready twice, by a test that changes INSTALLED_APPS, adds nothing to it
def listed(check: Callable[..., Iterator[Message]]) -> Callable[..., list[Message]]:
    """A check as Django wants it."""

    def run(**kwargs: Any) -> list[Message]:
        return list(check(**kwargs))

    run.__name__ = check.__name__
    return run
