"""Rows that tell what happened, read-only and masked: enough to answer "I got no mail", and to see an attack coming."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ..exceptions import CountryNeeded, InvalidIdentifier
from ..identifiers import parse
from ..models import AddressMark, Challenge, Event, Identity, Passkey, Proof, SignIn, Totp

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # generic for the type checker only
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows that tell what happened: seen by who may view them, changed by nobody."""

    show_full_result_count = False
    list_per_page = 50

    class Media:
        css: ClassVar = {"all": ["passwordless_auth/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes a row by itself. With its user it goes: Django asks on the user's page."""
        page = request.resolver_match.url_name if request.resolver_match else None
        ours = f"{self.opts.app_label}_{self.opts.model_name}_"
        return obj is not None and page is not None and not page.startswith(ours)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """SECURITY: only what the page offers as a filter. Otherwise ``?canonical__startswith=`` would spell out what
        the page masks, letter by letter."""
        return lookup.partition("__")[0] in set(self._names_of_filters())

    def _names_of_filters(self) -> Iterator[str]:
        for each in self.list_filter:
            if isinstance(each, str):
                yield each
            elif isinstance(each, type) and issubclass(each, admin.SimpleListFilter):
                yield str(each.parameter_name)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by the whole address: found through the index, and nobody can page through addresses by parts."""
        if not search_term:
            return queryset, False
        try:
            canonical = parse(search_term, language=get_language() or "").canonical
        except InvalidIdentifier as refusal:
            if isinstance(refusal, CountryNeeded):  # "nothing found" would be no answer to it
                text = _("Is this a phone number? Then begin with its country code, such as +49.")
                self.message_user(request, text, messages.WARNING)
            return super().get_search_results(request, queryset, search_term)
        return self.with_address(queryset, canonical), False

    def with_address(self, queryset: QuerySet[Any], canonical: str) -> QuerySet[Any]:
        return queryset.filter(canonical=canonical)

    @admin.display(description=_("address"))
    def address(self, row: Any) -> str:
        return str(row.masked)


class OfPersonAdmin(ReadOnlyAdmin):
    """Rows that hold no address, but whose owner has some."""

    list_select_related = ("user",)

    def with_address(self, queryset: QuerySet[Any], canonical: str) -> QuerySet[Any]:
        return queryset.filter(user__in=Identity.objects.filter(canonical=canonical).values("user"))


#: How far a sign-in came.
STATES: Final = {
    "live": _("has a session"),
    "pending": _("waits for another step"),
    "given_up": _("never got the other step"),
    "ended": _("ended"),
}


class StateFilter(admin.SimpleListFilter):
    """Sign-ins by how far they came."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        alive = queryset.filter(ended_at=None)
        states = {
            "live": alive.filter(pending_until=None),
            "pending": alive.filter(pending_until__gt=now),
            "given_up": alive.filter(pending_until__lte=now),
            "ended": queryset.exclude(ended_at=None),
        }
        return states.get(self.value() or "", queryset)


class ChallengeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "address", "purpose", "state", "tries", "browser", "ip", "expires_at")
    list_filter = ("state", "purpose", "created_at")
    search_fields = ("public_id__exact",)
    search_help_text = _("A whole e-mail address, a phone number with its country code, or a public id")
    ordering = ("-pk",)
    fields = (
        "public_id",
        "purpose",
        "address",
        "user",
        "state",
        "tries",
        "max_tries",
        "accepts_code",
        "accepts_link",
        "spent_by",
        "from_known_browser",
        "browser",
        "ip",
        "user_agent",
        "language",
        "created_at",
        "code_expires_at",
        "link_expires_at",
        "ended_at",
    )
    list_select_related = ("user",)

    @admin.display(description=_("browser"))
    def browser(self, row: Challenge) -> str:
        return " · ".join(filter(None, (row.asker["browser"], row.asker["os"])))


class SignInAdmin(OfPersonAdmin):
    list_display = ("created_at", "user", "level", "methods", "state", "browser", "ip", "last_seen_at")
    list_filter = (StateFilter, "level", "end_reason", "created_at")
    search_fields = ("public_id__exact",)
    search_help_text = _("A whole e-mail address, a phone number with its country code, or a public id")
    ordering = ("-pk",)
    fields = (
        "public_id",
        "user",
        "level",
        "proven_by",
        "auth_time",
        "client_id",
        "browser",
        "ip",
        "user_agent",
        "created_at",
        "pending_until",
        "last_seen_at",
        "ended_at",
        "end_reason",
    )

    @admin.display(description=_("browser"))
    def browser(self, row: SignIn) -> str:
        return " · ".join(filter(None, (row.asker["browser"], row.asker["os"])))

    @admin.display(description=_("methods"))
    def methods(self, row: SignIn) -> str:
        return ", ".join(row.methods)

    @admin.display(description=_("state"))
    def state(self, row: SignIn) -> str:
        if row.ended_at is not None:
            return f"{STATES['ended']}: {row.end_reason}"
        if row.pending_until is None:
            return str(STATES["live"])
        return str(STATES["pending" if row.pending_until > timezone.now() else "given_up"])

    @admin.display(description=_("proofs"))
    def proven_by(self, row: SignIn) -> SafeString:
        """Each proof: when, by which method, by which authenticator."""
        proofs = row.all_proofs()
        used = {proof.authenticator for proof in proofs} - {""}
        names: dict[str, str] = {}
        for model in (Passkey, Totp):
            names |= model.objects.filter(public_id__in=used).values_list("public_id", "name") if used else ()
        return format_html_join(
            SafeString("<br>"),
            "{}",
            ((_in_words(proof, names.get(proof.authenticator, "")),) for proof in proofs),
        )


def _in_words(proof: Proof, name: str) -> str:
    at = localize(timezone.localtime(datetime.fromtimestamp(proof.at, UTC)))
    which = f"“{name}” ({proof.authenticator})" if name else proof.authenticator
    return " · ".join(filter(None, (at, proof.method, which)))


class WithMarks(ReadOnlyAdmin):
    """Rows with an address, and its mark: in the same statement."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        marks = AddressMark.objects.filter(canonical=OuterRef("canonical"))
        mark = {name: Subquery(marks.values(name.removeprefix("mark_"))[:1]) for name in ("mark_pk", "mark_reason")}
        rows: QuerySet[Any] = super().get_queryset(request).annotate(**mark)
        return rows

    @admin.display(description=_("mark"))
    def mark(self, row: Any) -> SafeString | str:
        """Why, and the way to where the mark is lifted."""
        if row.mark_pk is None:
            return ""
        page = reverse(
            "admin:passwordless_auth_addressmark_change", args=[row.mark_pk], current_app=self.admin_site.name
        )
        return format_html('<a href="{}">{}</a>', page, AddressMark.Reason(row.mark_reason).label)


class IdentityAdmin(WithMarks):
    list_display = ("address", "user", "kind", "is_primary", "proven_at", "mark", "origin", "created_at")
    list_filter = ("kind", "origin", "is_primary")
    list_select_related = ("user",)
    search_fields = ("public_id__exact",)
    search_help_text = _("A whole e-mail address, a phone number with its country code, or a public id")
    ordering = ("-pk",)
    fields = (
        "public_id",
        "user",
        "kind",
        "address",
        "is_primary",
        "for_sign_in",
        "for_recovery",
        "for_notices",
        "origin",
        "proven_at",
        "linked_from",
        "restored_at",
        "mark",
        "created_at",
    )


class EventAdmin(OfPersonAdmin):
    list_display = ("created_at", "kind", "user", "details", "masked", "ip")
    list_filter = ("kind", "created_at")
    search_fields = ("kind__startswith",)
    search_help_text = _("A whole e-mail address, a phone number with its country code, or a kind of event")
    ordering = ("-pk",)
    fields = ("kind", "user", "masked", "ip", "user_agent", "details", "created_at")

    @admin.display(description=_("details"))
    def details(self, row: Event) -> SafeString:
        return format_html_join(SafeString("<br>"), "{}: {}", ((name, value) for name, value in row.data.items()))
