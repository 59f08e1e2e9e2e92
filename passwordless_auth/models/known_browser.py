from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connections, models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class KnownBrowserQuerySet(models.QuerySet["KnownBrowser"]):
    def remember(self, *, user_id: Any, browser_digest: str, now: datetime) -> bool:
        """Note that this browser signs in as this user: one statement. True when it never did before."""
        alias = router.db_for_write(KnownBrowser)
        connection = connections[alias]
        meta = KnownBrowser._meta
        fields: list[Any] = [meta.get_field(name) for name in ("user", "browser_digest", "created_at", "last_used_at")]
        table = connection.ops.quote_name(meta.db_table)
        user, digest, created, used = (connection.ops.quote_name(field.column) for field in fields)
        given = (user_id, browser_digest, now, now)
        params = [field.get_db_prep_save(value, connection) for field, value in zip(fields, given, strict=True)]
        insert = f"INSERT INTO {table} ({user}, {digest}, {created}, {used}) VALUES (%s, %s, %s, %s)"  # noqa: S608 (names only)
        with connection.cursor() as cursor:
            if connection.vendor == "mysql":
                cursor.execute(f"{insert} ON DUPLICATE KEY UPDATE {used} = VALUES({used})", params)
                return bool(cursor.rowcount == 1)  # 2 for a row that was there
            again = f" ON CONFLICT ({user}, {digest}) DO UPDATE SET {used} = excluded.{used}"
            cursor.execute(f"{insert}{again} RETURNING {created} = {used}", params)
            return bool(cursor.fetchone()[0])


class KnownBrowser(models.Model):
    """A browser that has signed in as this user before, by the digest of its long-lived key."""

    # Found by the index of the constraint, which begins with it.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
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
        indexes = (models.Index(fields=["browser_digest"], name="passwordless_known_browser_of"),)

    def __str__(self) -> str:
        return self.browser_digest[:8]
