"""E-mail addresses, authenticator apps, recovery codes and passkeys of django-allauth."""

from __future__ import annotations

import base64
import hmac
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings as host
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from ...exceptions import InvalidIdentifier
from ...identifiers import Identifier, mask, parse_email
from ...methods import passkey as webauthn
from ...models import Identity
from ...models.totp import STEP
from ..accounts import email_of
from .base import Made, Shelf, Source, Unavailable, Unfit, table_of
from .passkeys import Credential, PasskeyShelf, read_attestation
from .second_factors import RecoveryCodeShelf, TotpShelf

_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)


class DjangoAllauth(Source):
    name = "django-allauth"
    knows_addresses = True

    def shelves(self) -> list[Shelf]:
        addresses = table_of("account.EmailAddress")
        factors = table_of("mfa.Authenticator")
        if addresses is None and factors is None:
            raise Unavailable("Put allauth.account, and allauth.mfa where you use it, in INSTALLED_APPS.")
        shelves: list[Shelf] = []
        if addresses is not None:
            # The addresses first: what follows then belongs to an account whose owner is known.
            shelves.append(_Addresses(addresses._default_manager.select_related("user")))
        if factors is not None:
            rows = factors._default_manager
            shelves.append(_Passkeys(rows.filter(type="webauthn")))
            shelves.append(_Apps(rows.filter(type="totp")))
            shelves.append(_RecoveryCodes(rows.filter(type="recovery_codes")))
        return shelves


# -- addresses


class _Addresses(Shelf):
    """A verified address is proven: its owner has read a message there. One that isn't may be anybody's."""

    kind = "addresses"
    event = "identity_imported"

    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        self.now = now
        self.parsed = {row.pk: _parse(row.email) for row in rows if row.verified}
        canonical = {address.canonical for address in self.parsed.values() if address}
        self.here = {
            identity.canonical: identity for identity in Identity.objects.filter(kind="email", canonical__in=canonical)
        }
        people = {row.user_id for row in rows}
        self.has_primary = set(
            Identity.objects.filter(user_id__in=people, kind="email", is_primary=True).values_list("user_id", flat=True)
        )
        self.claimed_by: dict[str, set[Any]] = defaultdict(set)
        spellings = canonical | {row.email for row in rows}
        for row in self.rows.model._default_manager.filter(verified=True, email__in=spellings):
            address = _parse(row.email)
            if address:
                self.claimed_by[address.canonical].add(row.user_id)

    def take(self, row: Any) -> Sequence[Made]:
        if not row.verified:
            raise Unfit("it was never verified", masked=mask(row.email))
        address = self.parsed[row.pk]
        if address is None:
            raise Unfit("it can't be read as an address", masked=mask(row.email))
        # SECURITY: an address of two users would open one's account to the other: neither gets it.
        if len(self.claimed_by[address.canonical]) > 1:
            raise Unfit("several users have verified it", masked=address.masked)
        identity = self.here.get(address.canonical)
        if identity is None:
            identity = self.here[address.canonical] = self._new(row, address)
            return [identity]
        if identity.user_id != row.user_id:
            raise Unfit("it belongs to another user here", masked=address.masked)
        if identity.proven_at is not None:
            return []
        identity.proven_at = self.now
        return [identity]

    def _new(self, row: Any, address: Identifier) -> Identity:
        # user.email and the primary Identity stay in step: see flows/accounts.py.
        theirs = email_of(row.user)
        primary = row.user_id not in self.has_primary and (_parse(theirs) == address if theirs else row.primary)
        if primary:
            self.has_primary.add(row.user_id)
        return Identity(
            user_id=row.user_id,
            kind=address.kind,
            canonical=address.canonical,
            is_primary=primary,
            origin=Identity.Origin.IMPORT,
            proven_at=self.now,
        )


def _parse(text: str) -> Identifier | None:
    try:
        # SECURITY: look-alikes are folded when people type; nobody has ever mailed to them.
        return parse_email(text) if unicodedata.normalize("NFKC", text) == text else None
    except InvalidIdentifier:
        return None


# -- factors


def _setting(name: str, default: Any) -> Any:
    """One of allauth's settings, through its own getter where the host has one."""
    getter = getattr(host, "ALLAUTH_SETTING_GETTER", None)
    if getter is None:
        return getattr(host, name, default)
    return (import_string(getter) if isinstance(getter, str) else getter)(name, default)


def _decrypter() -> Callable[[str], str]:
    """How the host's adapter decrypts secrets; without one, they are kept as they are."""
    path = _setting("MFA_ADAPTER", "")
    if not path:
        return str
    decrypt: Callable[[str], str] = import_string(path)().decrypt
    return decrypt


class _Passkeys(PasskeyShelf):
    def credential_of(self, row: Any) -> Credential:
        try:
            kept = row.data["credential"]
            attestation = webauthn.decode(kept["response"]["attestationObject"].rstrip("="))
            transports = kept["response"].get("transports")
            attachment = kept.get("authenticatorAttachment")
            name = row.data.get("name") or ""
        except _UNREADABLE as error:
            raise Unfit("its credential can't be read") from error
        attested = read_attestation(attestation)
        return Credential(
            credential_id=attested.credential_id,
            public_key=attested.public_key,
            aaguid=attested.aaguid,
            sign_count=attested.sign_count,  # of its first day: allauth keeps no later one
            transports=transports,
            is_security_key=attachment == "cross-platform",
            attestation_format=attested.attestation_format,
            backup_eligible=attested.backup_eligible,
            backed_up=attested.backed_up,
            name=str(name),
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )


class _Apps(TotpShelf):
    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        super().prepare(rows, now=now)
        self.decrypt = _decrypter()
        self.digits = int(_setting("MFA_TOTP_DIGITS", 6))
        self.step = int(_setting("MFA_TOTP_PERIOD", 30))

    @sensitive_variables()
    def take(self, row: Any) -> Sequence[Made]:
        try:
            key = base64.b32decode(self.decrypt(row.data["secret"]), casefold=True)
        except _UNREADABLE as error:
            raise Unfit("its key can't be read") from error
        # The code that was used last is not good for a second time.
        last_step = int(row.last_used_at.timestamp()) // STEP if row.last_used_at else -1
        return self.totp(row, key, digits=self.digits, step=self.step, last_step=last_step)


class _RecoveryCodes(RecoveryCodeShelf):
    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        super().prepare(rows, now=now)
        self.decrypt = _decrypter()
        self.count = int(_setting("MFA_RECOVERY_CODE_COUNT", 10))
        self.digits = int(_setting("MFA_RECOVERY_CODE_DIGITS", 8))

    @sensitive_variables()
    def take(self, row: Any) -> Sequence[Made]:
        try:
            codes = self._unused(row.data)
        except _UNREADABLE as error:
            raise Unfit("its codes can't be read") from error
        return self.recovery_codes(row, codes)

    @sensitive_variables()
    def _unused(self, data: dict[str, Any]) -> list[str]:
        """allauth keeps one seed, from which the codes follow, and a bit for each that was used; or, where the codes
        came from elsewhere, those that are left."""
        if data.get("migrated_codes") is not None:
            return [self.decrypt(code) for code in data["migrated_codes"]]
        # One running MAC, read after each position; of it, half as many bytes as a code has digits.
        mac = hmac.new(self.decrypt(data["seed"]).encode("ascii"), digestmod="sha1")
        width = min(self.digits // 2, mac.digest_size)
        left = []
        for position in range(self.count):
            mac.update(b"%3d," % position)
            number = int.from_bytes(mac.digest()[:width], "big") % 10**self.digits
            if not data["used_mask"] >> position & 1:
                left.append(f"{number:0{self.digits}}")
        return left
