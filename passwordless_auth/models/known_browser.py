from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connections, models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class KnownBrowserQuerySet(models.QuerySet["KnownBrowser"]):
    def seen(self, *, user_id: Any, browser_digest: str, now: datetime) -> bool:
        """Note that this browser signed in as this user once more. False when it never did: one statement."""
        return self.filter(user_id=user_id, browser_digest=browser_digest).update(last_used_at=now) == 1

    def remember(self, *, user_id: Any, browser_digest: str, now: datetime) -> None:
        """Note that this browser signed in as this user: one statement, new or not."""
        row = KnownBrowser(user_id=user_id, browser_digest=browser_digest, created_at=now, last_used_at=now)
        # MariaDB and MySQL take any unique key for the conflict and refuse to be told which.
        names_target = connections[router.db_for_write(KnownBrowser)].features.supports_update_conflicts_with_target
        self.bulk_create(
            [row],
            update_conflicts=True,
            update_fields=["last_used_at"],
            unique_fields=["user", "browser_digest"] if names_target else None,
        )


class KnownBrowser(models.Model):
    """A browser that has signed in as this user before, by the digest of its long-lived key."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    browser_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    objects = KnownBrowserQuerySet.as_manager()

    class Meta:
        verbose_name = _("known browser")
        verbose_name_plural = _("known browsers")
        constraints = (
            models.UniqueConstraint(fields=["user", "browser_digest"], name="passwordless_known_browser_unique"),
        )

    def __str__(self) -> str:
        return self.browser_digest[:8]
