"""The middleware that keeps sessions and SignIns in step; after Django's session and authentication middleware."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from . import sessions


class SignInMiddleware:
    """Adds ``request.sign_in`` (the SignIn of this session, or ``None``; queried when used), refuses ended sessions,
    notes when a session was last used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sessions.refuse_ended(request)
        request.sign_in = SimpleLazyObject(lambda: sessions.current(request))  # type: ignore[attr-defined]
        response = self.get_response(request)
        sessions.after_response(request, response)
        return response
