from __future__ import annotations

from typing import Final

from .base import Message, Receipt
from .sms import SmsChannel

#: Every message of this process that went through a MemoryChannel, oldest first.
sent: Final[list[Message]] = []


class MemoryChannel(SmsChannel):
    """Keeps text messages in :data:`sent`, as Django's ``locmem`` keeps mail: for tests."""

    def send(self, message: Message) -> Receipt:
        sent.append(message)
        return Receipt(provider_id=f"memory-{message.idempotency_key}")
