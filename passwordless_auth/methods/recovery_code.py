"""Recovery codes: made in sets, shown once, compared by keyed digest. No message carries them, so no Challenge asks.

A code stands for the authenticator that was lost, for one time (NIST SP 800-63B-4 §4.2.1.1).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.views.decorators.debug import sensitive_variables

from .. import derivation
from ..conf import settings
from ..models import Proof, RecoveryCode

NAME: Final = "recovery_code"


@sensitive_variables()
def new_set(user: Any, *, now: datetime) -> tuple[list[str], list[RecoveryCode]]:
    """``RECOVERY_CODE_COUNT`` new codes, and the unsaved rows that will know them. The codes exist nowhere else."""
    key_id = settings.issuing_key_id
    codes = [derivation.new_recovery_code() for _number in range(settings.RECOVERY_CODE_COUNT)]
    rows = [
        RecoveryCode(
            user=user,
            digest=derivation.recovery_digest(code, user_id=user.pk, key_id=key_id),
            key_id=key_id,
            created_at=now,
        )
        for code in codes
    ]
    return codes, rows


def proof(*, now: datetime) -> Proof:
    return Proof(method=NAME, amr=("otp",), at=int(now.timestamp()))
