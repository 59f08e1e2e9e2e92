from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

#: What a message is written for.
Medium = Literal["email", "sms", "voice"]


@dataclass(frozen=True)
class Message:
    """What is sent. ``idempotency_key`` is the same for every attempt to send one Delivery.

    ``subject`` and ``html`` are of e-mail only. ``kind`` and ``code`` are for providers that take a template of their
    own and the code to put in.
    """

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    language: str
    idempotency_key: str
    kind: str = ""
    code: str = field(repr=False, default="")


@dataclass(frozen=True)
class Receipt:
    """The provider has taken the message.

    ``provider_id``: what it calls it, "" when it does not say. ``provider``: the name under which it reports what
    becomes of it (``flows.receipts.record``); "": the channel's alias. ``cost``: its price, where it says so at once.
    ``asks_outcome``: it wants to hear whether the code was typed (``Channel.tell``); then ``provider`` is an alias.
    """

    provider_id: str = ""
    provider: str = ""
    cost: Decimal | None = None
    currency: str = ""
    asks_outcome: bool = False


class Retryable(Exception):
    """Not this time: busy, unreachable, too slow. The text is shown to administrators and holds no address or code."""


class Rejected(Exception):
    """Never: the provider refuses this message for good."""


class Channel(ABC):
    """A way for a message to leave.

    SECURITY: the message holds a code and a link. Log neither, and mark variables that hold parts of it with
    ``django.views.decorators.debug.sensitive_variables``, or an error report shows them.
    """

    #: Which text a message is given: ``messages/<kind>.txt`` with subject and HTML, ``.sms.txt`` or ``.voice.txt``.
    medium: Medium = "email"
    #: Its name in ``PASSWORDLESS_AUTH_CHANNELS``, once ``channels.channel`` has made it.
    alias: str = ""
    #: Whether its receipts may ask for the outcome.
    hears_outcome: bool = False

    @abstractmethod
    def send(self, message: Message) -> Receipt:
        """Hand the message over. Raises :class:`Retryable` or :class:`Rejected`."""

    def tell(self, provider_id: str, *, used: bool) -> None:
        """Tell the provider whether the code of a message of its was typed. Only for channels with ``hears_outcome``.
        Raises Retryable, or Rejected when it does not want to hear it any more."""
        raise NotImplementedError
