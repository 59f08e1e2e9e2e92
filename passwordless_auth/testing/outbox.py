"""Read the messages that a test caused.

Django's ``TestCase`` never commits, so nothing that waits for a commit is sent. ``send_queued()`` sends what the test
has queued, whatever ``PASSWORDLESS_AUTH_SENDER`` says; ``last_code`` and ``last_link`` do so first::

    from passwordless_auth.testing import outbox

    self.client.post("/login/", {"identifier": "ada@example.com"})
    self.client.post("/login/wait/", {"code": outbox.last_code("ada@example.com")})
"""

from __future__ import annotations

import re
from typing import Any

from django.core import mail
from django.utils import timezone

from ..channels import memory
from ..conf import settings
from ..models import Delivery
from ..models.delivery import LEASE
from ..outbox import deliver, kinds


def send_queued() -> int:
    """Send every queued message now. Returns how many were handed over. What is no message, such as the call that tells
    an OpenID client of a sign-out, stays: a test of yours calls nobody."""
    messages = Delivery.objects.filter(state=Delivery.State.QUEUED).exclude(kind__in=kinds())
    sent = 0
    for pk in messages.order_by("pk").values_list("pk", flat=True):
        lease = timezone.now() + LEASE
        Delivery.objects.filter(pk=pk).update(available_at=lease)
        sent += deliver(pk, lease=lease)
    return sent


def last_message(to: str) -> Any:
    """The newest mail in ``django.core.mail.outbox`` for an address, or the newest text message (``.text``) that a
    :class:`~passwordless_auth.channels.memory.MemoryChannel` has for a number ("+49…"). Raises AssertionError when
    there is none."""
    send_queued()
    for message in reversed(memory.sent if _is_number(to) else mail.outbox):
        if to == message.to or (not _is_number(to) and to.lower() in message.to):
            return message
    raise AssertionError(f"No message to {to}.")


def last_code(to: str) -> str:
    """The code in the newest message for an address or a number, without spaces and dashes."""
    if _is_number(to):
        code = str(last_message(to).code)
        assert code, f"No code in the message to {to}."
        return code
    found = re.search(r"^[0-9A-Z][0-9A-Z -]{2,}[0-9A-Z]$", last_message(to).body, re.M)
    assert found, f"No code in the message to {to}."
    return re.sub(r"[\s-]", "", found[0])


def last_link(to: str) -> str:
    """The link in the newest message for an address or a number: to sign in, or, in a notice, to say "this wasn't
    me"."""
    message = last_message(to)
    base, text = re.escape(settings.BASE_URL), message.text if _is_number(to) else message.body
    found = re.search(rf"(?:^|\s)({base}/\S+)$" if _is_number(to) else rf"^({base}/\S+)$", text, re.M)
    assert found, f"No link in the message to {to}."
    return found[1]


def _is_number(to: str) -> bool:
    return to.startswith("+") and "@" not in to
