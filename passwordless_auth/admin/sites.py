"""Who comes in to the admin: its own login is ours, and asks for the level that its people need."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from .. import policies, sessions
from ..decorators import to_step_up
from ..exceptions import NoAccess, PasswordlessError, RecoveredSession
from ..models import Level
from ..views import LogoutView
from ..views.base import Action, PageView, see_other, with_next

if TYPE_CHECKING:
    Site = AdminSite  # for the type checker only
else:
    Site = object

#: Set on a request: the level that its user needs, looked up once.
_NEEDED = "_passwordless_auth_admin_level"


class PasswordlessAdminMixin(Site):
    """For an AdminSite of the host's: ``class Site(PasswordlessAdminMixin, AdminSite)``.

    Lets in active members of staff whose session reaches, now, the level that the Policy asks of them
    (``LEVEL_FOR_STAFF``, their own minimum, their groups). Whoever falls short is sent through the step-up and comes
    back. A session that other code made, by a password, counts as ``single``; a recovered one never gets in.
    """

    #: What this site asks of everybody at least. ``Level.MULTI`` together with django-otp's ``OTPAdminSite``.
    minimum_level: ClassVar[Level] = Level.SINGLE

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and self.reaches_level(request)

    def reaches_level(self, request: HttpRequest) -> bool:
        """Whether this session is strong enough now: after ``LEVEL_LIFETIME`` it counts as ``single``."""
        return (sessions.level_of(request) or Level.SINGLE).meets(self.level_needed(request))

    def level_needed(self, request: HttpRequest) -> Level:
        """The level that this person must have reached here."""
        needed: Level | None = getattr(request, _NEEDED, None)
        if needed is None:
            needed = policies.current().needs(request.user)
            setattr(request, _NEEDED, needed)
        return max(needed, self.minimum_level, key=lambda level: level.rank)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """As Django's. A form that somebody sends whose session has become too weak meanwhile is kept, and comes back
        after the step-up."""
        guarded = super().admin_view(view, cacheable)

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method == "POST" and self.is_too_weak(request):
                return to_step_up(request, self.level_needed(request))
            return guarded(request, *args, **kwargs)

        return update_wrapper(inner, guarded)

    def is_too_weak(self, request: HttpRequest) -> bool:
        """Whether it is the level alone that keeps this person out."""
        return (
            super().has_permission(request)
            and not self.reaches_level(request)
            and sessions.level_of(request) != Level.RECOVERED
        )

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Where the admin sends who may not come in: on to what is missing."""
        return DoorView.as_view()(request, site=self)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """POST ends the session, on the server, and leads to our page after it."""
        return LogoutView.as_view()(request)


class PasswordlessAdminSite(PasswordlessAdminMixin, AdminSite):
    """Django's admin behind our sign-in."""


class DoorView(PageView):
    """GET leads on: to the sign-in, to the step-up, into the admin, or says clearly that it is closed."""

    page = "error"
    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest, *args: Any, site: PasswordlessAdminMixin, **kwargs: Any) -> HttpResponseBase:
        there = self.next_url() or reverse("admin:index", current_app=site.name)
        user: Any = request.user
        if not user.is_authenticated:
            return redirect_to_login(there, reverse("passwordless_auth:login"))
        if site.has_permission(request):
            return see_other(there)
        # SECURITY: each of these ends on a page. Sending such a person to a sign-in that they have would go in circles.
        if not user.is_active or not getattr(user, "is_staff", False) or site.reaches_level(request):
            raise NoAccess
        if sessions.level_of(request) == Level.RECOVERED:
            raise RecoveredSession
        query = {"next": there, "level": str(site.level_needed(request))}
        return see_other(f"{reverse('passwordless_auth:step_up')}?{urlencode(query)}")

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        account = Action(_("Go to your account"), reverse("passwordless_auth:account"))
        if isinstance(refusal, RecoveredSession):
            passkeys = with_next(reverse("passwordless_auth:passkeys"), self.next_url())
            return [Action(_("Add a passkey"), passkeys, primary=True), account]
        login = with_next(reverse("passwordless_auth:login"), self.next_url())
        return [Action(_("Sign in as somebody else"), login, primary=True), account]
