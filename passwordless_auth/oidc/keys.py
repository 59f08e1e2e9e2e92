"""The keys that sign tokens: RS256 and ES256 (RFC 7518 §3), EdDSA with Ed25519 (RFC 8037).

They are in the database, encrypted, and made on first use; or in the setting ``OIDC_SIGNING_KEYS``. A process parses
each once, and looks every minute whether there are others: ``rotate`` publishes a key long before it signs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, router, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from .. import derivation
from ._dot import oauth2_settings
from .conf import settings
from .models import SigningKey

logger = logging.getLogger("passwordless_auth")

#: What makes a key of each algorithm (RFC 7518 §6).
ALGORITHMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "RS256": {"kty": "RSA", "size": 2048},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
#: The members of a JWK that are the key itself (RFC 7518 §6, RFC 8037 §2).
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "RSA": ("kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"),
    "EC": ("kty", "crv", "x", "y", "d"),
    "OKP": ("kty", "crv", "x", "d"),
}
_RSA_BITS: Final = 2048

#: Seconds after which a process looks whether other processes have made or withdrawn a key.
READ_AGAIN: Final = 60
#: Seconds between looks for keys that are asked for and not known: anyone can make up their names.
LOOK_AGAIN: Final = 1
#: How much longer than it is needed a key stays published.
MARGIN: Final = timedelta(days=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Key:
    """A key that is published, and that signs if ``signs``: ``jwk`` is private only then."""

    kid: str
    alg: str
    jwk: JWK = field(repr=False)

    @property
    def signs(self) -> bool:
        return bool(self.jwk.has_private)

    def public(self) -> dict[str, Any]:
        """What the key set says of it (RFC 7517 §4)."""
        return {**self.jwk.export_public(as_dict=True), "kid": self.kid, "alg": self.alg, "use": "sig"}


@dataclass(frozen=True)
class _Stored:
    """A row."""

    key: Key
    signs_from: datetime
    published_until: datetime | None

    def is_published(self, now: datetime) -> bool:
        return self.published_until is None or self.published_until > now


def signing_key(alg: str) -> Key:
    """The key that signs now, made if there is none of this algorithm.

    Raises ValueError for another algorithm than ours; ImproperlyConfigured if the keys are in the settings, and none is
    of this algorithm; UnknownKey if the private key can't be decrypted, since its key was dropped from ``SECRET_KEYS``.
    """
    if alg not in ALGORITHMS:
        raise ValueError(f"no algorithm of ours: {alg!r}")
    given = from_settings()
    if given:
        for key in given:
            if key.alg == alg and key.signs:
                return key
        raise ImproperlyConfigured(f"PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS has no private key for {alg}.")
    return _ring.signer(alg)


def verification_keys() -> list[Key]:
    """All that are published: those of the settings, and those of the database, the newest first."""
    return [*from_settings(), *_ring.published()]


def key_with(kid: str) -> Key | None:
    """The published key of this name. Without a statement, but for one a minute, and for names that aren't known (at
    most one a second)."""
    return next((key for key in from_settings() if key.kid == kid), None) or _ring.find(kid)


def algorithms() -> list[str]:
    """The algorithms that clients may choose: those of the setting for which there is a key, or will be."""
    given = {key.alg for key in from_settings() if key.signs}
    return [alg for alg in settings.OIDC_SIGNING_ALGORITHMS if alg in (given or ALGORITHMS)]


def jwks() -> dict[str, list[dict[str, Any]]]:
    """The key set (RFC 7517 §5). Read from the database, one statement: what any process has signed with is there."""
    given = from_settings()
    stored = _ring.published_now() if given else _ring.published_all()
    return {"keys": [key.public() for key in {key.kid: key for key in [*given, *stored]}.values()]}


def rotate(*, now: datetime | None = None, compromised: bool = False) -> list[tuple[Key, datetime]]:
    """Make a successor for each key of the database. Returns the new ones, and from when on each signs.

    They are published at once and sign after ``OIDC_NEW_KEY_DELAY``: by then, who keeps the key set for a while has
    read it again. The old ones stay published until every token that they sign has run out, and as long as a session
    may last: an ID token that has run out still says which session a client wants to end (RP-Initiated Logout §2).

    ``compromised``: somebody else has the old keys, or might. They are withdrawn, and the new ones sign at once; what
    the old ones have signed is worth nothing any more.

    Run twice at the same time, it makes one successor each.
    """
    now = now or timezone.now()
    signs_from = now if compromised else now + timedelta(seconds=settings.OIDC_NEW_KEY_DELAY)
    needed = max(int(oauth2_settings.ID_TOKEN_EXPIRE_SECONDS), settings.SESSION_LIFETIME)
    rows = SigningKey.objects.using(_database())
    algs = _wanted() | _present()
    made: list[tuple[Key, datetime]] = []
    with transaction.atomic(using=_database()):
        if compromised:
            logger.warning("Signing keys were withdrawn as compromised: %s", rows.withdraw(now=now))
        for alg in sorted(algs):
            retired = rows.retire(alg, published_until=signs_from + timedelta(seconds=needed) + MARGIN)
            begins = signs_from if retired else now
            key = _make(alg, signs_from=begins)
            made += [(key, begins)] if key else []
    _ring.read_again()
    return made


def forget() -> None:
    """Read all keys again at the next use: for tests that have emptied the database."""
    _ring.forget()


@sensitive_variables()
def from_settings() -> tuple[Key, ...]:
    """The keys of ``OIDC_SIGNING_KEYS``. Raises ImproperlyConfigured, without a word of what they hold."""
    try:
        texts = [text if isinstance(text, str) else json.dumps(text) for text in settings.OIDC_SIGNING_KEYS]
    except (TypeError, ValueError):
        raise ImproperlyConfigured("PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS is no list of PEM texts or JWKs.") from None
    return _parsed(*texts)


@lru_cache(maxsize=8)
@sensitive_variables()
def _parsed(*texts: str) -> tuple[Key, ...]:
    keys = []
    for number, text in enumerate(texts, start=1):
        try:
            if text.lstrip().startswith("-----BEGIN"):
                keys.append(_key(JWK.from_pem(text.strip().encode()).export(as_dict=True), with_kid=False))
            else:
                keys.append(_key(json.loads(text)))
        except (JWException, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            wrong = str(error) if isinstance(error, _Unfit) else "can't be read as a key"
            raise ImproperlyConfigured(f"PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS: number {number} {wrong}.") from None
    return tuple(keys)


class _Unfit(ValueError):
    """A key that is one, and not for us. Its text holds nothing of the key."""


@sensitive_variables()
def _key(members: Mapping[str, Any], *, with_kid: bool = True) -> Key:
    """A key out of a JWK, parsed to its end, so that one that can't sign is told here. Its name is its thumbprint (RFC
    7638), unless it has come with one: tokens from before may carry that."""
    kind = (members["kty"], members.get("crv"))
    alg = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}.get(kind)
    if alg is None:
        raise _Unfit("is neither RSA, nor P-256, nor Ed25519")
    if members.get("alg", alg) != alg or members.get("use", "sig") != "sig":
        raise _Unfit(f"is meant for something else than {alg}")
    # What else came with it, such as key_ops, must keep it neither from signing nor from verifying.
    jwk = JWK(**{name: members[name] for name in _MEMBERS[members["kty"]] if name in members})
    if alg == "RS256" and jwk.get_op_key("verify").key_size < _RSA_BITS:
        raise _Unfit(f"has less than {_RSA_BITS} bits")
    if jwk.has_private:
        jwk.get_op_key("sign")
    kid = members.get("kid") if with_kid else None
    return Key(kid=str(kid or jwk.thumbprint()), alg=alg, jwk=jwk)


class _Ring:
    """What this process knows of the rows. One object is swapped for another, so threads need no lock."""

    def __init__(self) -> None:
        self.uncommitted: set[str] = set()
        self.forget()

    def forget(self) -> None:
        self._parsed: dict[str, Key] = {}
        self.read_again()

    def read_again(self) -> None:
        self._stored: tuple[_Stored, ...] = ()
        self._read_at = self._looked_at = _NEVER

    def signer(self, alg: str) -> Key:
        now = timezone.now()
        found = _signer(self._known(now), alg, now) or _signer(self._read(now), alg, now)
        if found is None:
            _make_missing(alg, now=now)
            found = _signer(self._read(now), alg, now)
        if found is None:
            raise derivation.UnknownKey(f"of the signing key for {alg}")
        return found

    def published(self) -> list[Key]:
        now = timezone.now()
        return [stored.key for stored in self._known(now) if stored.is_published(now)]

    def published_now(self) -> list[Key]:
        return [stored.key for stored in self._read(timezone.now())]

    def published_all(self) -> list[Key]:
        """Those of all algorithms of the setting; what is missing is made."""
        now = timezone.now()
        keys = self.published_now()
        if not _wanted() <= {key.alg for key in keys}:
            _make_missing(now=now)
            keys = self.published_now()
        return keys

    def find(self, kid: str) -> Key | None:
        now = timezone.now()
        found = _named(kid, self._known(now), now)
        if found is None and (kid in self.uncommitted or self._may_look(now)):
            found = _named(kid, self._read(now), now)
        return found

    def _may_look(self, now: datetime) -> bool:
        if 0 <= (now - self._looked_at).total_seconds() < LOOK_AGAIN:
            return False
        self._looked_at = now
        return True

    def _known(self, now: datetime) -> tuple[_Stored, ...]:
        # A clock that was set back must not keep us from looking.
        return self._stored if 0 <= (now - self._read_at).total_seconds() < READ_AGAIN else self._read(now)

    def _read(self, now: datetime) -> tuple[_Stored, ...]:
        found = tuple(
            _Stored(self._parsed.get(row.kid) or _of_row(row), row.signs_from, row.published_until)
            for row in SigningKey.objects.using(_database()).published(now)
        )
        self._parsed = {stored.key.kid: stored.key for stored in found if stored.key.signs}
        # SECURITY: what a transaction has made is for that transaction alone until it is committed. Were it rolled
        # back, this process would sign with a key that is published nowhere.
        self._stored = tuple(stored for stored in found if stored.key.kid not in self.uncommitted)
        self._read_at = now
        return found


_ring: Final = _Ring()


def _database() -> str:
    """Where keys are written: a replica may not have yet what was signed with."""
    return router.db_for_write(SigningKey)


@sensitive_variables()
def _of_row(row: SigningKey) -> Key:
    """The key of a row; its public half, if it can't be decrypted."""
    private = derivation.unseal(row.private_sealed, purpose="signing_key", context=row.kid)
    return _key(json.loads(private) if private else row.public)


def _signer(rows: Iterable[_Stored], alg: str, now: datetime) -> Key | None:
    """The newest that has begun. If none has by the clock of this machine: the oldest, for one has."""
    fit = [row for row in rows if row.key.alg == alg and row.key.signs and row.is_published(now)]
    begun = [row.key for row in fit if row.signs_from <= now]
    return begun[0] if begun else (fit[-1].key if fit else None)


def _named(kid: str, rows: Iterable[_Stored], now: datetime) -> Key | None:
    return next((row.key for row in rows if row.key.kid == kid and row.is_published(now)), None)


def _wanted() -> set[str]:
    return ALGORITHMS.keys() & {*settings.OIDC_SIGNING_ALGORITHMS}


def _present() -> set[str]:
    newest = SigningKey.objects.using(_database()).exclude(newest_of=None)
    return {str(alg) for alg in newest.values_list("newest_of", flat=True)}


def _make_missing(*also: str, now: datetime) -> None:
    """A key for each algorithm that has none. Always in the same order, so that two transactions wait for each other in
    one direction only."""
    for alg in sorted((_wanted() | {*also}) - _present()):
        _make(alg, signs_from=now)


@sensitive_variables()
def _make(alg: str, *, signs_from: datetime) -> Key | None:
    """A new row; ``None`` if another process has been faster: then its key is the one."""
    key = _key(JWK.generate(**ALGORITHMS[alg]).export(as_dict=True))
    sealed = derivation.seal(key.jwk.export_private(), purpose="signing_key", context=key.kid)
    row = SigningKey(
        kid=key.kid, alg=alg, newest_of=alg, public=key.public(), private_sealed=sealed, signs_from=signs_from
    )
    database = _database()
    _ring.uncommitted.add(key.kid)
    try:
        with transaction.atomic(using=database):
            row.save(force_insert=True, using=database)
    except IntegrityError:
        return None
    transaction.on_commit(lambda: _committed(key.kid), using=database)
    logger.info("A signing key was made for %s: %s", alg, key.kid)
    return key


def _committed(kid: str) -> None:
    _ring.uncommitted.discard(kid)
    _ring.read_again()
