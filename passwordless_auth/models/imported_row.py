from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ImportedRow(models.Model):
    """A row of another package that ``passwordless_import`` has taken over.

    It outlives what was made of it. SECURITY: or a passkey that its owner removed here, or a recovery code that was
    used up, would come back with the next import from tables that still have it.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    #: The other model, such as ``mfa.authenticator``, and the row's primary key.
    table = models.CharField(max_length=100)
    row = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("imported row")
        verbose_name_plural = _("imported rows")
        constraints = (models.UniqueConstraint(fields=["table", "row"], name="passwordless_imported_row_unique"),)

    def __str__(self) -> str:
        return f"{self.table} {self.row}"
