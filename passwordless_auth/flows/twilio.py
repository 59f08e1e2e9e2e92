"""What Twilio tells of our messages, in our words: status callbacks, and the events of Verify.

The view has checked who calls (``views.twilio``). Every value in it may be missing, or anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..channels.twilio import price
from ..channels.twilio_verify import TAG
from ..models import Delivery
from . import receipts

State = Delivery.State

#: ``MessageStatus`` of text messages and WhatsApp, and ``message_status`` of Verify. Others change nothing.
MESSAGE_STATES: Final = {
    "accepted": State.HANDED_OVER,
    "scheduled": State.HANDED_OVER,
    "queued": State.HANDED_OVER,
    "sending": State.HANDED_OVER,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,  # whether it was read is nobody's business here
    "undelivered": State.BOUNCED,
    "failed": State.REJECTED,
    "canceled": State.REJECTED,
}
#: ``CallStatus``. A call that was not answered told nobody anything.
CALL_STATES: Final = {
    "queued": State.HANDED_OVER,
    "initiated": State.HANDED_OVER,
    "ringing": State.SENT,
    "in-progress": State.SENT,
    "completed": State.DELIVERED,
    "busy": State.BOUNCED,
    "no-answer": State.BOUNCED,
    "failed": State.REJECTED,
    "canceled": State.REJECTED,
}
#: Errors that the next message to this number would meet as well. (30003 is a phone that is off, 30007 a filter.)
OF_NUMBER: Final = frozenset(
    {
        "21211",  # no such number
        "21610",  # the person has answered STOP
        "21614",  # no mobile phone
        "21635",  # a landline
        "30005",  # no such subscriber
        "30006",  # a landline, or a network out of reach
        "60205",  # a landline
        "63003",  # nobody at WhatsApp
        "63024",  # nobody at WhatsApp
    }
)
#: The beginning of the types of events that tell what becomes of a message of Verify (Twilio Event Streams).
VERIFY_EVENTS: Final = "com.twilio.accountsecurity.verify.message."


def on_callback(alias: str, fields: Mapping[str, str], *, key: str) -> None:
    """A status callback, by form. ``key``: our own id of the message, as the callback's address has it."""
    call = fields.get("CallSid", "")
    states, status = (
        (CALL_STATES, fields.get("CallStatus", "")) if call else (MESSAGE_STATES, fields.get("MessageStatus", ""))
    )
    cost, currency = price(fields.get("Price"), fields.get("PriceUnit"))
    _record(
        alias,
        call or fields.get("MessageSid", ""),
        states,
        status,
        code=fields.get("ErrorCode", ""),
        key=key,
        cost=cost,
        currency=currency,
    )


def on_events(alias: str, events: Any) -> None:
    """The JSON of Event Streams: a list of CloudEvents, of which those of Verify's messages are ours."""
    for event in events if isinstance(events, list) else [events]:
        if not isinstance(event, dict) or not str(event.get("type")).startswith(VERIFY_EVENTS):
            continue
        data, tags = _dict(event.get("data")), _dict(_dict(event.get("data")).get("tags"))
        _record(
            alias,
            str(data.get("verification_sid") or ""),
            MESSAGE_STATES,
            str(data.get("message_status") or "").lower(),
            code=str(data.get("error_code") or ""),
            key=str(tags.get(TAG) or ""),
        )


def _record(alias: str, provider_id: str, states: Mapping[str, State], status: str, *, code: str, **facts: Any) -> None:
    state = states.get(status)
    if state is None:
        return
    # SECURITY: of the error its number alone: what else Twilio says of it may name the person's.
    code = code if code.isascii() and code.isdigit() and len(code) <= 6 and int(code) else ""
    trouble = state in Delivery.TROUBLE
    receipts.record(
        alias,
        provider_id,
        state,
        detail=f"{status} {code}".strip() if trouble else "",
        of_address=code in OF_NUMBER,
        **facts,
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
