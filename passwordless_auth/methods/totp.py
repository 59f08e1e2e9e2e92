"""The code that an authenticator app shows (TOTP, RFC 6238), without HTTP."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from django.views.decorators.debug import sensitive_variables

from .. import derivation
from ..conf import settings
from ..exceptions import InvalidAppCode
from ..models import Challenge, Proof, Totp
from ..models.totp import DIGITS, STEP
from .base import Issued, Method

#: Characters of a key that people read at once.
GROUP: Final = 4


class AuthenticatorApp(Method):
    """A second factor beside a link or a code; nothing is sent. RFC 8176: with what came before it, ``mfa``."""

    name = "totp"
    amr = ("otp", "mfa")

    def issue(self, challenge: Challenge) -> Issued:
        return Issued()

    @sensitive_variables()
    def check(self, challenge: Challenge, answer: str, *, now: datetime) -> Proof:
        device, _step = _answered(challenge, answer, now=now)
        return self.proof(now=now, authenticator=device.public_id)

    @sensitive_variables()
    def use_up(self, challenge: Challenge, answer: str, *, now: datetime) -> Totp:
        """RFC 6238 §5.2: a code is accepted once, and so none that is older."""
        device, step = _answered(challenge, answer, now=now)
        if not Totp.objects.use(device, step, now=now):
            raise InvalidAppCode
        return device


@sensitive_variables()
def _answered(challenge: Challenge, answer: str, *, now: datetime) -> tuple[Totp, int]:
    """The app whose unused code this is, and the code's time step. Raises InvalidAppCode."""
    if challenge.purpose != Challenge.Purpose.STEP_UP or challenge.canonical or challenge.user_id is None:
        raise InvalidAppCode  # a message was asked for, or a passkey of anybody
    code = derivation.tidy_code(answer)
    for device in Totp.objects.usable(challenge.user):
        step = device.step_of(code, now=now)
        if step is not None and step > device.last_step:
            return device, step
    raise InvalidAppCode


# -- setting it up


@sensitive_variables()
def shown_key(key: bytes) -> str:
    """The key as a person types it into an app: base32 (RFC 4648 §6) in groups."""
    text = base64.b32encode(key).decode().rstrip("=")
    return " ".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


@sensitive_variables()
def otpauth_uri(key: bytes, *, account: str) -> str:
    """What an app reads from the QR code: ``otpauth://totp/Issuer:account?secret=…`` (Google Authenticator's Key Uri
    Format, which all apps read)."""
    issuer = settings.SITE_NAME.replace(":", " ")
    label = f"{quote(issuer)}:{quote(account.replace(':', ' '))}"
    query = {
        "secret": base64.b32encode(key).decode().rstrip("="),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP,
    }
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
