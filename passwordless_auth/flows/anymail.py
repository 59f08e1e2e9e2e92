"""What Anymail's tracking webhooks tell, in our words: the receiver of ``anymail.signals.tracking``.

Anymail checks who calls (its ``WEBHOOK_SECRET``, the provider's signature) and makes one kind of event of what each
provider sends.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ..channels.email import METADATA_KEY
from ..models import Delivery
from . import receipts

State = Delivery.State

#: Anymail's event types; others (opened, clicked, queued …) change nothing.
STATES: Final = {
    "sent": State.SENT,
    "deferred": State.DEFERRED,
    "delivered": State.DELIVERED,
    "bounced": State.BOUNCED,
    "rejected": State.REJECTED,
    "failed": State.REJECTED,
    "complained": State.COMPLAINED,
}
#: Reasons that are about this one message, or that pass. Some providers give none for a bounce: then it is a hard one.
PASSING: Final = {
    "bounced": frozenset({"timed_out", "blocked", "spam", "other"}),
    "rejected": frozenset({None, "", "other"}),
}

#: Reply code and enhanced status code (RFC 5321 §4.2, RFC 3463) where a mail server's answer begins.
_REPLY: Final = re.compile(r"\s*(?:smtp;\s*)?([245]\d\d)(?:[ -]#?([245]\.\d{1,3}\.\d{1,3}))?(?!\d)", re.I)
_ENHANCED: Final = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")


def on_tracking(sender: Any, event: Any, esp_name: str, **_kwargs: Any) -> None:
    """Write down what a provider tells of one of our messages.

    Whatever is wrong with the database is raised: the webhook answers 500, and the provider comes again.
    """
    state = STATES.get(event.event_type)
    if state is None:
        return
    reason = event.reject_reason
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    receipts.record(
        esp_name,
        str(event.message_id or ""),
        state,
        key=str(metadata.get(METADATA_KEY) or ""),
        at=event.timestamp,
        detail=" ".join(filter(None, (reason, _codes(event.mta_response) or _codes(event.description)))),
        of_address=event.event_type in PASSING and reason not in PASSING[event.event_type],
    )


def _codes(text: Any) -> str:
    """The codes in a mail server's answer. SECURITY: the rest may repeat the address, and what we wrote."""
    if not isinstance(text, str):
        return ""
    if reply := _REPLY.match(text):
        return " ".join(filter(None, reply.groups()))
    found = _ENHANCED.search(text)
    return found[0] if found else ""
