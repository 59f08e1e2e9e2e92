from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ..models import Challenge, Proof, Totp


@dataclass(frozen=True)
class Issued:
    """What a message carries. Exists only while the message is written; its repr tells nothing."""

    code: str = ""
    link_token: str = ""

    def __repr__(self) -> str:
        return "Issued(…)"


class Method(ABC):
    """A way to prove. ``amr`` are the RFC 8176 values that it earns."""

    name: ClassVar[str]
    amr: ClassVar[tuple[str, ...]]

    @abstractmethod
    def issue(self, challenge: Challenge) -> Issued:
        """What the person is sent."""

    @abstractmethod
    def check(self, challenge: Challenge, answer: str, *, now: datetime) -> Proof:
        """Compare in memory. Raises :class:`~passwordless_auth.exceptions.InvalidCode`.

        SECURITY: nothing of the outcome may leave the process before the challenge's conditional UPDATE has changed a
        row, or parallel guesses would outrun the limit of tries.
        """

    def use_up(self, challenge: Challenge, answer: str, *, now: datetime) -> Totp | None:
        """Use up what is good for one right answer only, beside the challenge itself. Returns the authenticator that
        gave it, for django-otp; ``None`` for a message.

        Called in the transaction that spends the challenge. Raises InvalidCode when another request was first.
        """
        return None

    def proof(self, *, now: datetime, authenticator: str = "", by_sms: bool = False) -> Proof:
        """``by_sms``: the phone network carried it, which RFC 8176 §2 wants told."""
        amr = (*self.amr, "sms") if by_sms else self.amr
        return Proof(method=self.name, amr=amr, at=int(now.timestamp()), authenticator=authenticator)
