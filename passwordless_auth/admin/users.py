"""For the host's UserAdmin: what a person signs in with, on their own page of the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Identity, Passkey, Profile, RecoveryCode, Totp
from .acts import PeopleActs
from .factors import PasskeyColumns, ProfileColumns, may_change_profile, save_minimum_level

if TYPE_CHECKING:
    StackedInline = admin.StackedInline[Any, Any]  # generic for the type checker only
    TabularInline = admin.TabularInline[Any, Any]
else:
    StackedInline, TabularInline = admin.StackedInline, admin.TabularInline


class ReadOnlyInline(TabularInline):
    """Rows with links to their own pages; seen by who may view them."""

    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True
    ordering = ("pk",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PasskeyInline(PasskeyColumns, ReadOnlyInline):
    model = Passkey
    fields = readonly_fields = ("provider", "kept", "created_at", "last_used_at", "blocked_at")


class TotpInline(ReadOnlyInline):
    model = Totp
    fields = readonly_fields = ("confirmed", "created_at", "last_used_at", "blocked_at")


class IdentityInline(ReadOnlyInline):
    model = Identity
    fk_name = "user"
    fields = readonly_fields = ("kind", "is_primary", "for_sign_in", "for_recovery", "origin", "proven_at")


class ProfileInline(ProfileColumns, StackedInline):
    """The minimum level of the person, and how their account stands."""

    model = Profile
    verbose_name = verbose_name_plural = _("passwordless sign-in")
    max_num = 1
    can_delete = False
    fields = ("minimum_level", "stopped_until", "recovery_codes")
    readonly_fields = ("stopped_until", "recovery_codes")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change_profile(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change_profile(request, obj)

    @admin.display(description=_("recovery codes"))
    def recovery_codes(self, profile: Profile) -> str:
        if not profile.user_id:
            return ""
        unused = RecoveryCode.objects.unused(profile.user_id).count()
        return str(_("{number} left").format(number=unused))


class PasswordlessUserAdminMixin(PeopleActs):
    """For the host's ModelAdmin of users: ``class UserAdmin(PasswordlessUserAdminMixin, django.UserAdmin)``.

    Adds to a person's page their addresses, passkeys, authenticator apps and minimum level, and buttons that reset
    their factors, end their sessions, and allow changes after "this wasn't me"; each for who has the permission. A
    subclass with ``actions`` of its own lists these, too: ``actions = [*PasswordlessUserAdminMixin.actions, …]``.
    """

    passwordless_inlines: ClassVar[tuple[Any, ...]] = (ProfileInline, IdentityInline, PasskeyInline, TotpInline)

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        inlines = [*super().get_inlines(request, obj)]
        if obj is not None:
            inlines += [inline for inline in self.passwordless_inlines if inline not in inlines]
        return inlines

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is not Profile:
            super().save_formset(request, form, formset, change)
            return
        for profile in formset.save(commit=False):
            save_minimum_level(request, profile)
