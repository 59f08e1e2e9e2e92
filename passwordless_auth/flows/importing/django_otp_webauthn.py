"""Passkeys of django-otp-webauthn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings as host

from .base import Shelf, Source, Unavailable, table_of
from .passkeys import Credential, PasskeyShelf, read_attestation

#: Its models can be exchanged, by settings of these names.
_CREDENTIAL: Final = ("OTP_WEBAUTHN_CREDENTIAL_MODEL", "django_otp_webauthn.WebAuthnCredential")
_ATTESTATION: Final = ("OTP_WEBAUTHN_ATTESTATION_MODEL", "django_otp_webauthn.WebAuthnAttestation")


class DjangoOtpWebauthn(Source):
    name = "django-otp-webauthn"

    def shelves(self) -> list[Shelf]:
        credentials = table_of(getattr(host, *_CREDENTIAL))
        if credentials is None:
            raise Unavailable("Put django_otp_webauthn in INSTALLED_APPS: its passkeys are read through it.")
        return [_Credentials(credentials._default_manager.all())]


class _Credentials(PasskeyShelf):
    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        attestations = table_of(getattr(host, *_ATTESTATION))
        kept = attestations._default_manager.filter(credential__in=rows) if attestations else None
        self.attestations: dict[Any, Any] = dict(kept.values_list("credential_id", "data")) if kept is not None else {}
        super().prepare(rows, now=now)

    def credential_of(self, row: Any) -> Credential:
        attestation = self.attestations.get(row.pk)
        attested = None if attestation is None else read_attestation(bytes(attestation))
        return Credential(
            credential_id=bytes(row.credential_id),
            public_key=bytes(row.public_key),
            aaguid=row.aaguid,
            sign_count=row.sign_count,
            transports=row.transports,
            attestation_format=attested.attestation_format if attested else "none",
            backup_eligible=row.backup_eligible,
            backed_up=row.backup_eligible and row.backup_state,
            name=row.name,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            enabled=row.confirmed,
        )
