"""Authenticator apps and backup tokens of django-two-factor-auth: django-otp's own tables, with or without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.views.decorators.debug import sensitive_variables

from ...models.totp import TOLERANCE
from .base import LeftBehind, Made, Shelf, Source, Unavailable, Unfit, table_of
from .second_factors import RecoveryCodeShelf, TotpShelf

#: What stays behind: the table, what its rows are, and why.
_LEFT_BEHIND: Final = (
    ("phonenumber.PhoneDevice", "phones", "text messages and calls are no way to sign in here yet"),
    ("otp_email.EmailDevice", "e-mail devices", "whoever proves an address here needs no device for it"),
    (
        "two_factor_webauthn.WebauthnDevice",
        "security keys",
        "it was a second factor, made without verifying its user: add it here as a passkey",
    ),
    ("otp_yubikey.YubikeyDevice", "Yubico OTP keys", "one-time passwords of Yubico are not supported"),
    ("otp_yubikey.RemoteYubikeyDevice", "Yubico OTP keys", "one-time passwords of Yubico are not supported"),
    ("otp_hotp.HOTPDevice", "counter-based code generators", "counter-based codes are not supported"),
)


class DjangoTwoFactorAuth(Source):
    name = "django-two-factor-auth"

    def shelves(self) -> list[Shelf]:
        apps = table_of("otp_totp.TOTPDevice")
        tokens = table_of("otp_static.StaticDevice")
        if apps is None and tokens is None:
            raise Unavailable(
                "Put django_otp.plugins.otp_totp and django_otp.plugins.otp_static in INSTALLED_APPS: "
                "authenticator apps and backup tokens are read through them."
            )
        shelves: list[Shelf] = []
        if apps is not None:
            shelves.append(_Apps(apps._default_manager.all()))
        if tokens is not None:
            shelves.append(_Tokens(tokens._default_manager.prefetch_related("token_set")))
        for label, kind, reason in _LEFT_BEHIND:
            table = table_of(label)
            if table is not None:
                shelves.append(LeftBehind(table._default_manager.all(), kind=kind, reason=reason))
        return shelves


class _Apps(TotpShelf):
    @sensitive_variables()
    def take(self, row: Any) -> Sequence[Made]:
        if not row.confirmed:
            raise Unfit("it was never confirmed")
        if row.t0 or abs(row.drift) > TOLERANCE:
            raise Unfit("its clock is more than one code off: set it up anew")
        try:
            key = bytes.fromhex(row.key)
        except ValueError as error:
            raise Unfit("its key can't be read") from error
        # "default" is what django-two-factor-auth calls the first one of everybody.
        name = "" if row.name == "default" else row.name
        return self.totp(row, key, digits=row.digits, step=row.step, last_step=row.last_t, name=name)


class _Tokens(RecoveryCodeShelf):
    @sensitive_variables()
    def take(self, row: Any) -> Sequence[Made]:
        if not row.confirmed:
            raise Unfit("it was never confirmed")
        return self.recovery_codes(row, [kept.token for kept in row.token_set.all()])
