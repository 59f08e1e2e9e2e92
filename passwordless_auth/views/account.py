"""The signed-in person's pages: account, sessions, signing out, and what a script may ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils import timezone

from .. import sessions
from ..conf import settings
from ..flows import accounts, recovery, sign_out
from ..models import Identity, Level, Profile, SignIn
from .base import PageView, display_name, recovered_context, see_other


class AccountView(PageView):
    """Who is signed in, with which addresses, and how."""

    page = "account"
    for_members = True
    for_recovered = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        identities = list(Identity.objects.filter(user=self.member).main_first())
        sign_in = sessions.current(request)
        return self.page_response(
            display=display_name(request.user),
            identities=[
                {
                    "kind": row.kind,
                    "address": row.identifier.display,
                    "is_primary": row.is_primary,
                    "proven": row.proven_at is not None,
                }
                for row in identities
            ],
            sign_in=sign_in.summary() if sign_in else None,
            passkeys="passkey" in settings.METHODS,
            outlook=recovery.outlook(self.member, identities),
            recovered=recovered_context(request),
            totp="totp" in settings.METHODS,
            sections=sections(),
        )


def sections() -> list[str]:
    """The templates that other installed apps add to the account page: ``account_sections`` of their ``AppConfig``."""
    return [name for config in apps.get_app_configs() for name in getattr(config, "account_sections", ())]


class SessionsView(PageView):
    """GET lists the sessions of this person; POST ends one (``sign_in``), the others or all (``scope``)."""

    page = "sessions"
    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        here = (sessions.facts_of(request) or {}).get("sign_in")
        idle = timezone.now() - timedelta(seconds=settings.SESSION_IDLE + sessions.SEEN_EVERY)
        recovered = Q(
            level=Level.RECOVERED, created_at__lte=timezone.now() - timedelta(seconds=settings.RECOVERED_LIFETIME)
        )
        alive = SignIn.objects.live().filter(~recovered, user=self.member, last_seen_at__gt=idle)
        rows = [
            {
                "public_id": row.public_id,
                **row.asker,
                "created_at": row.created_at,
                "last_seen_at": row.last_seen_at,
                "current": row.pk == here,
                "methods": row.methods,
            }
            for row in alive.order_by("-last_seen_at")[:100]
        ]
        rows.sort(key=lambda row: not row["current"])
        return self.page_response(sign_ins=rows)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        scope = request.POST.get("scope")
        current = sessions.current(request)
        if scope == "everywhere":
            # Sessions that were begun with a password go on while the password is the user's own: then don't say so.
            everywhere = "" if self.member.has_usable_password() else "?everywhere=1"
            sign_out.end_everywhere(self.member)
            sessions.log_out(request)
            return see_other(reverse("passwordless_auth:signed_out") + everywhere)
        if scope == "others":
            sign_out.end_others(self.member, keep=current)
            sessions.keep_only(request)
        else:
            public_id = request.POST.get("sign_in", "")
            if current and public_id == current.public_id:
                sessions.log_out(request)
                return see_other(reverse("passwordless_auth:signed_out"))
            sign_out.end_one(self.member, public_id)
        return see_other(reverse("passwordless_auth:sessions"))


class LogoutView(PageView):
    """POST ends this session, on the server. GET only asks: a link from anywhere must not sign a person out."""

    page = "logout_confirm"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return see_other(reverse("passwordless_auth:signed_out"))
        return self.page_response(next=self.next_url(), display=display_name(request.user))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        sessions.log_out(request)
        return see_other(self.next_url() or reverse("passwordless_auth:signed_out"))


class SignedOutView(PageView):
    """The page after the end of a session."""

    page = "signed_out"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return see_other(reverse("passwordless_auth:account"))
        return self.page_response(everywhere=request.GET.get("everywhere") == "1")


class SessionView(PageView):
    """GET ``session.json``: who is signed in here, for scripts of this site."""

    page = "session"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if not user.is_authenticated:
            nobody: dict[str, Any] = {
                "authenticated": False,
                "user": None,
                "methods": [],
                "level": None,
                "auth_time": None,
            }
            return JsonResponse(nobody)
        facts = sessions.facts_of(request) or {}
        person = {
            "id": facts.get("person") or Profile.objects.of(user).handle,
            "name": display_name(user),
            "email": accounts.email_of(user) or None,
        }
        return JsonResponse(
            {
                "authenticated": True,
                "user": person,
                "methods": facts.get("methods", []),
                "level": sessions.level_of(request),
                "auth_time": facts.get("auth_time"),
            }
        )
