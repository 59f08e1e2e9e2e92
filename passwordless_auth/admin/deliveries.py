"""What became of each message, and the addresses whose messages came back: "I got no mail" answered in one look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import Delivery
from .acts import MarkActs
from .rows import ReadOnlyAdmin, WithMarks
from .texts import TextMessages


class DeliveryAdmin(TextMessages, WithMarks):
    #: The answer first: a narrow screen shows no more.
    list_display = ("created_at", "address", "state", "after", "error", "mark", "attempt", "provider", "kind")
    list_filter = ("state", "provider", "kind", "created_at")
    list_select_related = ("challenge", "user")
    search_fields = ("public_id__exact", "provider_id__exact")
    search_help_text = _(
        "A whole e-mail address, a phone number with its country code, a public id, or the provider’s id"
    )
    ordering = ("-pk",)
    fields = (
        "public_id",
        "address",
        "mark",
        "kind",
        "state",
        "timeline",
        "error",
        "attempts",
        "channel",
        "provider",
        "provider_id",
        "price",
        "language",
        "created_at",
        "available_at",
        "expires_at",
        "attempt",
        "user",
    )

    @admin.display(description=_("after"))
    def after(self, row: Delivery) -> str:
        """How long after its beginning it came to be what it is."""
        return str(_in_short(row.since - row.created_at))

    @admin.display(description=_("cost"))
    def price(self, row: Delivery) -> str:
        return "" if row.cost is None else f"{localize(row.cost.normalize())} {row.currency}"

    @admin.display(description=_("attempt"))
    def attempt(self, row: Delivery) -> SafeString | str:
        """The challenge that the message is about, and what came of it."""
        if row.challenge is None:
            return ""
        page = reverse(
            "admin:passwordless_auth_challenge_change", args=[row.challenge.pk], current_app=self.admin_site.name
        )
        return format_html('<a href="{}">{}</a>', page, row.challenge.get_state_display())

    @admin.display(description=_("history"))
    def timeline(self, row: Delivery) -> SafeString:
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in _in_words(row)))


def _in_short(span: timedelta) -> str | Promise:
    """A time in the unit that is fine enough: at least two of it."""
    seconds = int(span.total_seconds())
    for text, unit in ((_("{} d"), 86400), (_("{} h"), 3600), (_("{} min"), 60)):
        if seconds >= 2 * unit:
            return text.format(seconds // unit)
    return _("{} s").format(max(0, seconds))


def _in_words(row: Delivery) -> Iterator[str]:
    for step in row.steps():
        at = localize(timezone.localtime(step.at))
        yield " · ".join(filter(None, (str(at), str(step.state.label), step.by, step.detail)))


class AddressMarkAdmin(MarkActs, ReadOnlyAdmin):
    list_display = ("address", "reason", "provider", "detail", "marked_at")
    list_filter = ("reason", "provider", "marked_at")
    search_fields = ("provider__exact",)
    search_help_text = _("A whole e-mail address, or a phone number with its country code")
    ordering = ("-pk",)
    fields = ("address", "reason", "provider", "detail", "marked_at")
