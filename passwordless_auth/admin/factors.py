"""What people sign in with, and how much it takes: seen by who may, and never a key, a digest or a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, IntegerField, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext_lazy as _

from ..flows import operator
from ..methods import passkey as webauthn
from ..models import Level, Passkey, Profile, RecoveryCode
from ..requester import Requester
from .acts import PasskeyActs, PeopleActs, is_frozen
from .rows import OfPersonAdmin

if TYPE_CHECKING:
    BaseModelAdmin = admin.options.BaseModelAdmin[Any]  # for the type checker only
else:
    BaseModelAdmin = object


class BlockedFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("usable", _("usable")), ("blocked", _("blocked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        states = {"usable": queryset.filter(blocked_at=None), "blocked": queryset.exclude(blocked_at=None)}
        return states.get(self.value() or "", queryset)


class PasskeyColumns:
    """What is told of a passkey, on its own page and on its owner's."""

    @admin.display(description=_("provider"))
    def provider(self, row: Passkey) -> str:
        """Who stands behind its AAGUID, as far as it is known: what an authenticator says of itself."""
        known = webauthn.provider_of(row.aaguid)
        return known.name if known else ""

    @admin.display(description=_("kept"))
    def kept(self, row: Passkey) -> Any:
        if row.device_type == "bound":
            return _("on one device")
        return _("synced") if row.backed_up else _("can be synced, is not yet")


class PasskeyAdmin(PasskeyColumns, PasskeyActs, OfPersonAdmin):
    list_display = ("name", "user", "provider", "kept", "blocked_at", "last_used_at", "created_at")
    list_filter = (BlockedFilter, "created_at", "last_used_at")
    search_fields = ("public_id__exact", "aaguid__exact")
    search_help_text = _(
        "A whole e-mail address of the owner, their phone number with its country code, a public id, or an AAGUID"
    )
    ordering = ("-pk",)
    fields = (
        "name",
        "user",
        "provider",
        "kept",
        "aaguid",
        "attestation_format",
        "transports",
        "algorithm",
        "sign_count",
        "created_at",
        "enrolled_in",
        "last_used_at",
        "blocked_at",
        "public_id",
    )


class TotpAdmin(OfPersonAdmin):
    list_display = ("name", "user", "confirmed", "created_at", "last_used_at", "blocked_at")
    list_filter = (BlockedFilter, "confirmed", "created_at")
    search_fields = ("public_id__exact",)
    search_help_text = _(
        "A whole e-mail address of the owner, their phone number with its country code, or a public id"
    )
    ordering = ("-pk",)
    fields = ("name", "user", "confirmed", "created_at", "last_used_at", "blocked_at", "public_id")


class RecoveryCodeAdmin(OfPersonAdmin):
    """One line for each person: how many codes are left."""

    list_display = ("owner", "unused", "used", "created_at")
    list_filter = ("created_at",)
    search_fields = ("user__passwordless_profile__handle__exact",)
    search_help_text = _(
        "A whole e-mail address of the owner, their phone number with its country code, or the id that the outside "
        "knows the person by"
    )
    ordering = ("-pk",)
    fields = ("user", "unused", "used", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RecoveryCode]:
        """The first code of each person stands for all of theirs."""
        firsts = RecoveryCode.objects.order_by().values("user").annotate(first=Min("pk")).values("first")
        rows: QuerySet[RecoveryCode] = super().get_queryset(request).filter(pk__in=firsts)
        return rows.annotate(unused_codes=_how_many(Q(used_at=None)), used_codes=_how_many(Q(used_at__isnull=False)))

    @admin.display(description=_("owner"), ordering="user")
    def owner(self, row: RecoveryCode) -> str:
        return str(row.user)

    @admin.display(description=_("unused"), ordering="unused_codes")
    def unused(self, row: Any) -> int:
        return int(row.unused_codes)

    @admin.display(description=_("used"), ordering="used_codes")
    def used(self, row: Any) -> int:
        return int(row.used_codes)


def _how_many(which: Q) -> Any:
    """The number of such codes of a row's user."""
    of_user = RecoveryCode.objects.order_by().filter(which, user=OuterRef("user")).values("user")
    return Coalesce(Subquery(of_user.annotate(number=Count("pk")).values("number"), output_field=IntegerField()), 0)


class FrozenFilter(admin.SimpleListFilter):
    title = _("changes")
    parameter_name = "changes"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("stopped", _("stopped, after “This wasn’t me”"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(frozen_until__gt=timezone.now()) if self.value() == "stopped" else queryset


class ProfileColumns(BaseModelAdmin):
    """What is told of a profile, and asked, on its own page and on its owner's."""

    @admin.display(description=_("authenticator app"), boolean=True)
    def has_app(self, row: Profile) -> bool:
        return row.has_totp

    @admin.display(description=_("changes are stopped until"), ordering="frozen_until")
    def stopped_until(self, row: Profile) -> str | None:
        if not is_frozen(row):
            return None
        return str(localize(timezone.localtime(row.frozen_until)))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "minimum_level":
            levels = [(level.value, level.label) for level in Level if level.meets(Level.SINGLE)]
            kwargs["choices"] = [("", _("no more than the site asks")), *levels]
        return super().formfield_for_choice_field(db_field, request, **kwargs)


class ProfileAdmin(ProfileColumns, PeopleActs, OfPersonAdmin):
    """What we keep of each person. The minimum level is the one thing to change here."""

    list_display = ("user", "minimum_level", "has_app", "stopped_until", "created_at")
    list_filter = (FrozenFilter, "minimum_level")
    search_fields = ("handle__exact",)
    search_help_text = _(
        "A whole e-mail address, a phone number with its country code, or the id that the outside knows the person by"
    )
    ordering = ("-pk",)
    fields = ("user", "handle", "minimum_level", "has_app", "stopped_until", "language", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in self.fields if name != "minimum_level"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change_profile(request, obj.user if obj else None)

    def save_model(self, request: HttpRequest, obj: Profile, form: Any, change: bool) -> None:
        save_minimum_level(request, obj)


def may_change_profile(request: HttpRequest, user: Any = None) -> bool:
    """Whether who asks may say how much this person (any, without one) must prove."""
    actor: Any = request.user
    allowed = actor.has_perm("passwordless_auth.change_profile")
    return bool(allowed and (user is None or operator.may_act_on(actor, user)))


def save_minimum_level(request: HttpRequest, profile: Profile) -> None:
    """Write what a form has put into a profile: through the flow, which notes and enforces it."""
    operator.set_minimum_level(
        profile.user,
        profile.minimum_level,
        operator=operator.named(request.user),
        requester=Requester.from_request(request),
    )
