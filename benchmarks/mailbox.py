"""Where every contestant's mail goes: written out as it would go over the wire, and kept for the person."""

from __future__ import annotations

import re
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

#: The newest message; the only one that is kept.
newest: Any = None


class Mailbox(BaseEmailBackend):
    def send_messages(self, messages: Any) -> int:
        global newest  # noqa: PLW0603 (this process has one mailbox)
        for message in messages:
            message.message().as_bytes()
            newest = message
        return len(messages)


def found(pattern: str, *, to: str) -> str:
    """What the person reads in the newest message."""
    match = re.search(pattern, newest.body)
    if newest.to != [to] or match is None:
        raise LookupError(f"No {pattern!r} for {to} in the message to {newest.to}:\n{newest.body}")
    return match[1]
