"""``/openid/logout``: where Clients send people to sign out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import translation
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from ... import sessions
from ...views.base import CsrfCheck, display_name, security_headers, see_other
from ..flows import logout
from ..flows.logout import LogoutRequest
from ..requests import single
from .authorize import MAX_QUERY, ClientRedirect, source_of, with_params
from .pages import ClientPage, language_of


class LogoutView(ClientPage):
    """GET and POST, from Clients (RP-Initiated Logout §2); POST with ``allow`` or ``deny``, from our own page."""

    page = "logout_confirm"
    template_name = "passwordless_auth/logout_confirm_client.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return self.handle(single(request.GET.lists()))
        except OAuth2Error as error:
            return self.tell_person(error)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            params = single(request.POST.lists())
        except OAuth2Error as error:
            return self.tell_person(error)
        if self._is_answer():
            return self._answer(logout.read(params))
        # With a POST from the Client's site no browser sends our cookies: who is there shows only after a redirect.
        asked = {name: value for name, value in params.items() if name in logout.KEPT}
        query = urlencode(asked)
        if len(query) > MAX_QUERY:
            return self.ask(logout.read(asked))  # or after a form of our own
        return see_other(f"{request.path}?{query}" if query else request.path)

    def require_own_page(self, csrf: CsrfCheck) -> None:
        """SECURITY: a press of our own buttons, by the token of their form. What comes from a Client has none, and ends
        nothing by itself: see ``LogoutRequest.proves``."""
        if self._is_answer():
            super().require_own_page(csrf)

    def _is_answer(self) -> bool:
        return "allow" in self.request.POST or "deny" in self.request.POST

    def handle(self, params: Mapping[str, str]) -> HttpResponseBase:
        asked = logout.read(params)
        if not self.request.user.is_authenticated:
            # Once more, or too late: the outcome is the same. Without a hint nobody knows who sends people here.
            return self.go_on(asked) if asked.hint else see_other(reverse("passwordless_auth:signed_out"))
        sign_in = sessions.current(self.request)
        if sign_in is not None and asked.proves(sign_in.public_id):
            sessions.log_out(self.request)
            return self.go_on(asked)
        return self.ask(asked)

    def ask(self, asked: LogoutRequest) -> HttpResponseBase:
        with translation.override(language_of(asked.params.get("ui_locales", "")) or translation.get_language()):
            response = self.page_response(
                client=asked.application,
                display=display_name(self.request.user) if self.request.user.is_authenticated else "",
                fields=asked.kept,
                in_order=asked.is_in_order,
            )
        if asked.way_back:
            # Browsers hold a form to its policy along the whole way that it leads.
            policy = security_headers()["Content-Security-Policy"]
            response["Content-Security-Policy"] = policy.replace(
                "form-action 'self'", f"form-action 'self' {source_of(asked.way_back)}"
            )
        return response

    def _answer(self, asked: LogoutRequest) -> HttpResponseBase:
        if "deny" in self.request.POST:
            return see_other(reverse("passwordless_auth:account"))
        sessions.log_out(self.request)
        return self.go_on(asked)

    def go_on(self, asked: LogoutRequest) -> HttpResponseBase:
        """The person is signed out: back to the Client, where that is allowed."""
        if not asked.way_back:
            return see_other(reverse("passwordless_auth:signed_out"))
        state = [("state", asked.state)] if asked.state else []
        return ClientRedirect(with_params(asked.way_back, state, fragment=False) if state else asked.way_back)
