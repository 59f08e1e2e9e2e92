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

from ..conf import settings
from ..models import Delivery
from ..models.delivery import LEASE
from ..outbox import deliver


def send_queued() -> int:
    """Send every queued message now. Returns how many were handed over."""
    sent = 0
    for pk in Delivery.objects.filter(state=Delivery.State.QUEUED).order_by("pk").values_list("pk", flat=True):
        lease = timezone.now() + LEASE
        Delivery.objects.filter(pk=pk).update(available_at=lease)
        sent += deliver(pk, lease=lease)
    return sent


def last_message(to: str) -> Any:
    """The newest mail in ``django.core.mail.outbox`` for an address. Raises AssertionError when there is none."""
    send_queued()
    for message in reversed(mail.outbox):
        if to.lower() in message.to:
            return message
    raise AssertionError(f"No message to {to}.")


def last_code(to: str) -> str:
    """The code in the newest mail for an address, without spaces and dashes."""
    found = re.search(r"^[0-9A-Z][0-9A-Z -]{2,}[0-9A-Z]$", last_message(to).body, re.M)
    assert found, f"No code in the message to {to}."
    return re.sub(r"[\s-]", "", found[0])


def last_link(to: str) -> str:
    """The link in the newest mail for an address: to sign in, or, in a notice, to say "this wasn't me"."""
    found = re.search(rf"^{re.escape(settings.BASE_URL)}/\S+$", last_message(to).body, re.M)
    assert found, f"No link in the message to {to}."
    return found[0]
