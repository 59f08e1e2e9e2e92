"""Passkeys of other packages: what their bytes say, and which of them can sign a person in here."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from ...conf import settings
from ...methods import passkey as webauthn
from ...models import Passkey
from ...models.passkey import MAX_CREDENTIAL_ID, digest_of
from ..enrolment import NAME_LENGTH, tidy_name
from .base import Made, Shelf, Unfit

#: WebAuthn Level 3 §5.8.4. Other packages keep what browsers sent, unchecked.
_TRANSPORTS: Final = frozenset({"ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"})
#: What stands in where no transports were kept. SECURITY: as decoys look (derivation.decoy_passkey). A passkey without
#: any, named for a typed address, would tell that the address has an account.
_OF_DEVICE: Final = ("hybrid", "internal")
_OF_KEY: Final = ("nfc", "usb")
#: RSASSA-PKCS1-v1_5 with SHA-1: whoever finds collisions signs in (RFC 8812 §2).
_BROKEN: Final = frozenset({-65535})


@dataclass(frozen=True)
class Credential:
    """A credential as another package keeps it. ``None`` for what it doesn't keep."""

    credential_id: bytes
    public_key: bytes
    aaguid: str = ""
    sign_count: int = 0
    transports: Any = None
    is_security_key: bool = False
    attestation_format: str = "none"
    backup_eligible: bool | None = None
    backed_up: bool = False
    name: str = ""
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    enabled: bool = True


@dataclass(frozen=True)
class Attested:
    """What an attestation object says, which the other package verified when the credential was made."""

    credential_id: bytes
    public_key: bytes
    aaguid: str
    sign_count: int
    attestation_format: str
    backup_eligible: bool
    backed_up: bool


class PasskeyShelf(Shelf):
    """A table of passkeys. A subclass says what a row's credential is."""

    kind = "passkeys"
    event = "passkey_imported"

    @abstractmethod
    def credential_of(self, row: Any) -> Credential:
        """Raises Unfit."""

    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        self.now = now
        self.made: dict[Any, Passkey | Unfit] = {}
        for row in rows:
            try:
                self.made[row.pk] = _passkey(self.credential_of(row), user_id=row.user_id, now=now)
            except Unfit as unfit:
                self.made[row.pk] = unfit
        digests = [made.credential_digest for made in self.made.values() if isinstance(made, Passkey)]
        self.owners = dict(
            Passkey.objects.filter(credential_digest__in=digests).values_list("credential_digest", "user_id")
        )

    def take(self, row: Any) -> Sequence[Made]:
        made = self.made[row.pk]
        if isinstance(made, Unfit):
            raise made
        owner = self.owners.setdefault(made.credential_digest, None)
        if owner is None:
            self.owners[made.credential_digest] = row.user_id
            return [made]
        if owner == row.user_id:
            return []
        raise Unfit("this passkey belongs to another user here")


def _passkey(credential: Credential, *, user_id: Any, now: datetime) -> Passkey:
    if not 0 < len(credential.credential_id) <= MAX_CREDENTIAL_ID:
        raise Unfit("its credential id is not 1 to 1023 bytes long")
    aaguid = _aaguid(credential.aaguid)
    if not webauthn.may_be_added(aaguid):
        raise Unfit("passkeys of its kind (AAGUID) are not allowed here")
    provider = webauthn.provider_of(aaguid)
    return Passkey(
        user_id=user_id,
        name=tidy_name(credential.name) or (provider.name[:NAME_LENGTH] if provider else _("Passkey")),
        confirmed=credential.enabled,
        blocked_at=None if credential.enabled else now,
        credential_id=credential.credential_id,
        credential_digest=digest_of(credential.credential_id),
        # Which handle its authenticator hands out, no package keeps beside the passkey: see Passkey.answers_to.
        user_handle=None,
        public_key=credential.public_key,
        algorithm=_algorithm_of(credential.public_key),
        sign_count=credential.sign_count,
        transports=_transports(credential),
        aaguid=aaguid,
        attestation_format=credential.attestation_format[:32],
        backup_eligible=credential.backup_eligible,
        backed_up=credential.backed_up,
        created_at=credential.created_at or now,
        last_used_at=credential.last_used_at,
    )


def _aaguid(text: str) -> str:
    """As our own rows have it: a UUID in lower case, "" for anything else."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _transports(credential: Credential) -> list[str]:
    given = credential.transports if isinstance(credential.transports, list) else []
    known = sorted({name for name in given if isinstance(name, str) and name in _TRANSPORTS})
    return known or list(_OF_KEY if credential.is_security_key else _OF_DEVICE)


def _algorithm_of(public_key: bytes) -> int:
    """The COSE number of a key that can be verified. Raises Unfit."""
    from webauthn.helpers.decode_credential_public_key import decode_credential_public_key
    from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography

    try:
        decoded = decode_credential_public_key(public_key)
        decoded_public_key_to_cryptography(decoded)
        number = int(decoded.alg)
    except Exception as error:  # whatever their bytes do to parsers: CBOR, curves
        raise Unfit("its public key can't be read") from error
    if number in _BROKEN:
        raise Unfit("its algorithm is not safe any more")
    return number


def read_attestation(data: bytes) -> Attested:
    """What an attestation object says of its credential.

    Raises Unfit for what can't sign in here: a credential of another RP ID, and one that was made without verifying
    its user. SECURITY: a passkey counts for two factors here; and a row that never works must not count for a way in.
    """
    from webauthn.helpers.aaguid_to_string import aaguid_to_string
    from webauthn.helpers.parse_attestation_object import parse_attestation_object

    try:
        parsed = parse_attestation_object(data)
        said = parsed.auth_data
        credential = said.attested_credential_data
        if credential is None:
            raise ValueError("no credential")
        aaguid = aaguid_to_string(credential.aaguid)
    except Exception as error:
        raise Unfit("its attestation object can't be read") from error
    if said.rp_id_hash != hashlib.sha256(settings.PASSKEY_RP_ID.encode()).digest():
        raise Unfit("it was made for another RP ID than PASSKEY_RP_ID")
    if not said.flags.uv:
        raise Unfit("it was made without verifying its user (no PIN, no finger)")
    return Attested(
        credential_id=credential.credential_id,
        public_key=credential.credential_public_key,
        aaguid=aaguid,
        sign_count=said.sign_count,
        attestation_format=str(getattr(parsed.fmt, "value", parsed.fmt)),
        backup_eligible=said.flags.be,
        backed_up=said.flags.be and said.flags.bs,
    )


def read_credential_data(data: bytes) -> Credential:
    """Attested credential data (WebAuthn Level 3 §6.5.1): AAGUID, id, key. Raises Unfit."""
    from webauthn.helpers.aaguid_to_string import aaguid_to_string

    end = 18 + int.from_bytes(data[16:18], "big")
    if len(data) <= end:
        raise Unfit("its credential can't be read")
    return Credential(credential_id=data[18:end], public_key=data[end:], aaguid=aaguid_to_string(data[:16]))
