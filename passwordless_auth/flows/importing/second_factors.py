"""Authenticator apps and recovery codes of other packages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ... import derivation
from ...conf import settings
from ...models import RecoveryCode, Totp
from ...models.totp import DIGITS, STEP
from ..enrolment import tidy_name
from .base import Made, Shelf, Unfit


class TotpShelf(Shelf):
    """A table of authenticator apps. A person has one here: who has set it up keeps it; of several there, the one that
    was used last is taken."""

    kind = "authenticator apps"
    event = "totp_imported"
    order = (F("last_used_at").desc(nulls_last=True), "pk")

    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        people = {row.user_id for row in rows}
        self.now = now
        enrolled = Totp.objects.exclude(confirmed=False, blocked_at=None)  # others were begun, and not finished
        self.have = set(enrolled.filter(user_id__in=people).values_list("user_id", flat=True))

    @sensitive_variables()
    def totp(
        self,
        row: Any,
        key: bytes,
        *,
        digits: int,
        step: int,
        last_step: int = -1,
        name: str = "",
    ) -> Sequence[Made]:
        """The authenticator app with this key. Raises Unfit."""
        if row.user_id in self.have:
            raise Unfit("this person has an authenticator app here")
        if (digits, step) != (DIGITS, STEP):
            raise Unfit(f"its codes have {digits} digits and change every {step} seconds; ours {DIGITS} and {STEP}")
        if not key:
            raise Unfit("its key is empty")
        made = Totp(
            user_id=row.user_id,
            name=tidy_name(name) or _("Authenticator app"),
            last_step=last_step,
            created_at=row.created_at or self.now,
            last_used_at=row.last_used_at,
        )
        made.set_key(key)
        self.have.add(row.user_id)
        return [made]


class RecoveryCodeShelf(Shelf):
    """A table of sets of recovery codes. Who has made some here keeps those, and only those."""

    kind = "sets of recovery codes"
    event = "recovery_codes_imported"

    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:
        people = {row.user_id for row in rows}
        self.now = now
        self.made: set[str] = set()
        self.have = set(RecoveryCode.objects.filter(user_id__in=people).values_list("user_id", flat=True))

    @sensitive_variables()
    def recovery_codes(self, row: Any, codes: Sequence[str]) -> Sequence[Made]:
        """The rows of codes that are unused. Raises Unfit."""
        if row.user_id in self.have:
            raise Unfit("this person has recovery codes here")
        key_id = settings.issuing_key_id
        # Two codes may differ by their marks alone, in one set or in two of one person: one row is enough for both.
        digests = {
            derivation.recovery_digest(code, user_id=row.user_id, key_id=key_id)
            for code in codes
            if derivation.tidy_code(code)
        } - self.made
        if not digests:
            raise Unfit("no unused code is left")
        self.made |= digests
        return [
            RecoveryCode(user_id=row.user_id, digest=digest, key_id=key_id, created_at=row.created_at or self.now)
            for digest in digests
        ]
