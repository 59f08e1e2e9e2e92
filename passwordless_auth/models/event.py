from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import signals
from ..requester import Requester

logger = logging.getLogger("passwordless_auth.events")


class Event(models.Model):
    """One step that somebody may have to answer for, without a secret and with addresses masked.

    What has a row of its own (an attempt is a Challenge, a message a Delivery, a session a SignIn) is announced to
    the log and the ``security_event`` signal and not written a second time.
    """

    kind = models.CharField(_("kind"), max_length=40, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    masked = models.CharField(_("address"), max_length=254, blank=True, default="")
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=256, blank=True, default="")
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False, db_index=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return self.kind


def announce(kind: str, *, user: Any = None, masked: str = "", requester: Requester | None = None, **data: Any) -> None:
    """Tell the log and the ``security_event`` signal of a step, once it is committed."""

    def tell() -> None:
        requester_ip = requester.ip if requester else ""
        logger.info(
            "%s %s",
            kind,
            masked or "-",
            extra={"event": kind, "user_id": str(user.pk) if user else None, "ip": requester_ip, "data": data},
        )
        signals.security_event.send_robust(Event, kind=kind, user=user, data=data)

    transaction.on_commit(tell, robust=True)


def record(
    kind: str,
    *,
    user: Any = None,
    masked: str = "",
    requester: Requester | None = None,
    now: datetime | None = None,
    **data: Any,
) -> Event:
    """Write the step as a row, and announce it."""
    announce(kind, user=user, masked=masked, requester=requester, **data)
    return Event.objects.create(
        kind=kind,
        user=user,
        masked=masked,
        ip=(requester.ip if requester else "") or None,
        user_agent=requester.user_agent if requester else "",
        data=data,
        created_at=now or timezone.now(),
    )
