from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Message:
    """What is sent. ``idempotency_key`` is the same for every attempt to send one Delivery."""

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    language: str
    idempotency_key: str


@dataclass(frozen=True)
class Receipt:
    """The provider has taken the message.

    ``provider_id``: what it calls it, "" when it does not say. ``provider``: the name under which it reports what
    becomes of it (``flows.receipts.record``); "": the channel's alias. ``cost``: its price, where it says so at once.
    """

    provider_id: str = ""
    provider: str = ""
    cost: Decimal | None = None
    currency: str = ""


class Retryable(Exception):
    """Not this time: busy, unreachable, too slow. The text is shown to administrators and holds no address or code."""


class Rejected(Exception):
    """Never: the provider refuses this message for good."""


class Channel(ABC):
    """A way for a message to leave.

    SECURITY: the message holds a code and a link. Log neither, and mark variables that hold parts of it with
    ``django.views.decorators.debug.sensitive_variables``, or an error report shows them.
    """

    @abstractmethod
    def send(self, message: Message) -> Receipt:
        """Hand the message over. Raises :class:`Retryable` or :class:`Rejected`."""
