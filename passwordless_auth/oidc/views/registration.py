"""Clients that register themselves (RFC 7591), and manage what they registered (RFC 7592).

Whether at all (``DCR_ENABLED``), and who may (``DCR_REGISTRATION_PERMISSION_CLASSES``), django-oauth-toolkit's settings
say.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic.base import View

from ... import throttling
from ...exceptions import TooManyRequests
from ...models.event import record
from ...requester import Operator, Requester
from ...views.base import MAX_BODY
from .. import _dot, clients
from ..conf import settings
from ..registration import Refused, Registration, metadata_of

#: Who did it, in the events.
_ITSELF: Final = Operator("the client itself", "")


@method_decorator(login_not_required, name="dispatch")
@method_decorator(transaction.non_atomic_requests, name="dispatch")
@method_decorator(csrf_exempt, name="dispatch")  # the permission classes ask where a cookie opens the door
class _RegistrationView(View):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not _dot.oauth2_settings.DCR_ENABLED:
            return self.refuse("not_found", "Clients do not register themselves here.", status=404)
        self.requester = Requester.from_request(request)
        try:
            return self.barred(request, **kwargs) or super().dispatch(request, *args, **kwargs)
        except Refused as refusal:
            return self.refuse(refusal.error, refusal.description)

    def barred(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase | None:
        """The answer to who may not come in; ``None`` for who may."""
        return None

    def refuse(self, error: str, description: str, *, status: int = 400) -> HttpResponse:
        response = self.respond({"error": error, "error_description": description}, status=status)
        if status == 401:  # RFC 6750 §3: without a token there is nothing wrong with it to tell
            response["WWW-Authenticate"] = 'Bearer error="invalid_token"' if error == "invalid_token" else "Bearer"
        return response

    def respond(self, members: dict[str, Any], *, status: int = 200) -> HttpResponse:
        response = JsonResponse(members, status=status)
        response["Cache-Control"] = "no-store"
        response["Pragma"] = "no-cache"
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def read(self, request: HttpRequest) -> dict[str, Any]:
        """The metadata of the body. Raises Refused."""
        try:
            if request.content_type != "application/json" or int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
                raise ValueError
            metadata = json.loads(request.body, object_pairs_hook=_each_once)
        except (ValueError, RecursionError, RawPostDataException, UnreadablePostError):
            metadata = None
        if not isinstance(metadata, dict):
            raise Refused("invalid_client_metadata", "The body is one JSON object, of at most 64 kB.")
        return metadata

    def told(self, application: Any, token: str, secret: str = "") -> dict[str, Any]:
        """RFC 7591 §3.2.1, RFC 7592 §3."""
        page = reverse("passwordless_auth_oidc:registration", args=[application.client_id])
        members = metadata_of(application)
        if secret:
            members |= {"client_secret": secret, "client_secret_expires_at": 0}
        return {**members, "registration_client_uri": settings.BASE_URL + page, "registration_access_token": token}


class RegisterView(_RegistrationView):
    """``/openid/register``."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not _dot.may_register(request):
            return self.refuse("access_denied", "Who registers a client has to be known here.", status=401)
        registration = Registration.of(self.read(request))
        limit = throttling.per_network("oidc_registrations", self.requester, settings.OIDC_LIMIT_REGISTRATIONS_PER_IP)
        now = timezone.now()
        try:
            with transaction.atomic(durable=True):
                throttling.hit([limit], now=now)
                form = registration.form()
                application = form.instance
                application.user = request.user if request.user.is_authenticated else None
                application.registration_source = application.RegistrationSource.DCR
                form.write(operator=_ITSELF, requester=self.requester)
                token = _dot.registration_token_for(application)
        except TooManyRequests as refusal:
            throttling.note_refusal(refusal, [limit], requester=self.requester, now=now)
            response = self.refuse("temporarily_unavailable", "Too many clients were registered.", status=429)
            response["Retry-After"] = str(refusal.retry_after)
            return response
        return self.respond(self.told(application, token, form.new_secret), status=201)


class RegistrationView(_RegistrationView):
    """``/openid/register/<client_id>``: what a client registered, for whoever has its registration access token."""

    http_method_names = ("get", "head", "put", "delete", "options")

    def barred(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase | None:
        self.registered = None
        if request.method != "OPTIONS":
            self.registered = _dot.registration_of(request, kwargs["client_id"])
            if self.registered is None:
                return self.refuse("invalid_token", "This is not the registration access token.", status=401)
        return None

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.respond(self.told(*self._registration()))

    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """All of it anew: what is left out is left out (RFC 7592 §2.2)."""
        application, token = self._registration()
        metadata = self.read(request)
        if metadata.get("client_id") != application.client_id:
            raise Refused("invalid_client_metadata", "client_id is that of the client.")
        with transaction.atomic(durable=True):
            self._require_own_secret(application, metadata)
            form = Registration.of(metadata).form(application)
            form.write(operator=_ITSELF, requester=self.requester)
            if _dot.oauth2_settings.DCR_ROTATE_REGISTRATION_TOKEN_ON_UPDATE:
                token = _dot.replaced_registration_token(self.registered)
        return self.respond(self.told(form.instance, token, form.new_secret))

    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        application, _token = self._registration()
        with transaction.atomic(durable=True):
            record(
                "client_removed",
                requester=self.requester,
                client_id=application.client_id,
                operator=_ITSELF.name,
            )
            application.delete()
        return HttpResponse(status=204)

    def _registration(self) -> tuple[Any, str]:
        registered: Any = self.registered
        return clients.load(registered.application.client_id), registered.presented_token

    def _require_own_secret(self, application: Any, metadata: dict[str, Any]) -> None:
        """RFC 7592 §2.2: it may come along, and can't be chosen."""
        secret = metadata.get("client_secret")
        if secret is None:
            return
        known = isinstance(secret, str) and clients.check_secret(application, application.passwordless_settings, secret)
        if not known:
            raise Refused("invalid_client_metadata", "client_secret is not that of the client.")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A member comes twice.")
    return found
