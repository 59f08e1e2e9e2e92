from __future__ import annotations

from datetime import datetime

from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from .. import derivation
from ..exceptions import InvalidLink
from ..models import Challenge, Proof
from .base import Issued, Method


class MagicLink(Method):
    """The link of a message. Opening it proves nothing: mail scanners open links, people press buttons."""

    name = "magic_link"
    amr = ("otp",)

    def issue(self, challenge: Challenge) -> Issued:
        return Issued(link_token=challenge.link_token())

    @sensitive_variables()
    def check(self, challenge: Challenge, answer: str, *, now: datetime) -> Proof:
        if not challenge.accepts_link:
            raise InvalidLink
        try:
            right = constant_time_compare(answer, challenge.link_token())
        except derivation.UnknownKey:
            raise InvalidLink from None
        if not right:
            raise InvalidLink
        return self.proof(now=now, by_sms=challenge.kind == "phone")
