from __future__ import annotations

from datetime import datetime

from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from .. import derivation
from ..exceptions import InvalidCode
from ..models import Challenge, Proof
from .base import Issued, Method


class OneTimeCode(Method):
    """The code of a message, typed in the browser that asked for it (NIST SP 800-63B-4 §3.1.3)."""

    name = "one_time_code"
    amr = ("otp",)

    def issue(self, challenge: Challenge) -> Issued:
        return Issued(code=challenge.code())

    @sensitive_variables()
    def check(self, challenge: Challenge, answer: str, *, now: datetime) -> Proof:
        if not challenge.accepts_code:
            raise InvalidCode
        try:
            right = constant_time_compare(derivation.tidy_code(answer), challenge.code())
        except derivation.UnknownKey:  # a key was dropped while its codes were on their way
            raise InvalidCode from None
        if not right:
            raise InvalidCode
        return self.proof(now=now, by_sms=challenge.kind == "phone")
