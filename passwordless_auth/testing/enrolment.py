"""What a person has enrolled before the test begins: passkeys, an authenticator app, recovery codes.

Only rows are made: no message is sent, no signal, and nobody's level is asked.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import Any

from django.utils import timezone
from django_otp.oath import hotp

from .. import derivation
from ..conf import settings
from ..models import Passkey, Profile, RecoveryCode, Totp
from ..models.totp import DIGITS, STEP
from .authenticator import Authenticator


def add_passkey(user: Any, authenticator: Authenticator | None = None, **columns: Any) -> Passkey:
    """A passkey of this user on ``authenticator``, which can then sign in with it; by default on one that nobody has.

    ``columns`` of the row take the place of what the authenticator says.
    """
    authenticator = authenticator or Authenticator()
    credential = authenticator.add(
        rp_id=settings.PASSKEY_RP_ID, user_handle=Profile.objects.of(user).handle.encode("ascii")
    )
    row: Passkey = Passkey.objects.create(
        **{
            "user": user,
            "name": "Passkey",
            "credential_id": credential.id,
            "credential_digest": Passkey.digest_of(credential.id),
            "public_key": credential.cose_key,
            "algorithm": credential.algorithm,
            "sign_count": credential.counter,
            "transports": list(authenticator.transports),
            "aaguid": str(uuid.UUID(bytes=authenticator.aaguid)),
            "backup_eligible": authenticator.synced,
            "backed_up": authenticator.backed_up,
            **columns,
        }
    )
    return row


def add_totp(user: Any, **columns: Any) -> Totp:
    """A confirmed authenticator app of this user; :func:`totp_code` is what it shows."""
    device = Totp(**{"user": user, "name": "Authenticator app", "confirmed": True, **columns})
    if not device.key_sealed:
        device.set_key(secrets.token_bytes(20))
    device.save()
    if device.confirmed:
        profile = Profile.objects.of(user)
        profile.has_totp = True
        profile.save(update_fields=["has_totp"])
    return device


def totp_code(device: Totp, *, at: datetime | None = None) -> str:
    """The code that an authenticator app shows, or the next one when this one has been used (RFC 6238)."""
    device.refresh_from_db(fields=["last_step"])
    key = device.key()
    assert key is not None, "The key that this device is encrypted with is gone from SECRET_KEYS."
    step = max(int((at or timezone.now()).timestamp()) // STEP, device.last_step + 1)
    return f"{hotp(key, step, DIGITS):0{DIGITS}}"


def add_recovery_codes(user: Any, count: int = 10) -> list[str]:
    """Unused recovery codes of this user, as the person has them on paper."""
    codes = [derivation.new_recovery_code() for _ in range(count)]
    key_id = settings.issuing_key_id
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, digest=derivation.recovery_digest(code, user_id=user.pk, key_id=key_id), key_id=key_id)
        for code in codes
    )
    return codes
