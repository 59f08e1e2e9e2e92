"""The endpoints that programs call: token, userinfo, revocation, introspection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError, OAuth2Error

from ...requester import Requester
from ...views.base import MAX_BODY
from .. import clients
from ..cors import ClientMixin
from ..requests import OF_CLIENTS, SingleRequest, known, single
from ..server import server

_FORM: Final = "application/x-www-form-urlencoded"


@method_decorator(login_not_required, name="dispatch")
@method_decorator(transaction.non_atomic_requests, name="dispatch")
@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(csrf_exempt, name="dispatch")  # no cookie opens anything here
class Endpoint(ClientMixin):
    """An endpoint for Clients: form in, JSON out, errors as RFC 6749 §5.2 has them."""

    http_method_names: Sequence[str] = ("post", "options")
    asked: Request | None = None

    def calling_client(self) -> Any | None:
        return self.asked.client if self.asked else None

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            self.asked = asked = self.read(request)
        except OAuth2Error as error:
            return self.refuse(error)
        with transaction.atomic(durable=True):
            # A refusal commits, too: what was tried with a code or an assertion is used up.
            try:
                body, status, headers = self.answer(asked)
            except OAuth2Error as error:
                return self.refuse(error)
        return self.respond(body, status, headers)

    def refuse(self, error: OAuth2Error) -> HttpResponseBase:
        return self.respond(error.json, error.status_code, dict(error.headers))

    def answer(self, asked: Request) -> tuple[str, int, dict[str, str]]:
        """Body, status and headers. Raises OAuth2Error."""
        raise NotImplementedError

    def read(self, request: HttpRequest) -> Request:
        """oauthlib's Request of ours. Raises InvalidRequestError for what can't be read, or comes twice."""
        fields = known(single(self._fields(request)), OF_CLIENTS)
        asked = SingleRequest(request.path, request.method, urlencode(fields), {"Content-Type": _FORM})
        asked.authorization = asked.refresh_row = None
        asked.started_at = timezone.now()
        asked.requester = Requester.from_request(request)
        asked.credentials_given = clients.Credentials.of(
            fields, authorization=request.headers.get("Authorization", ""), path=request.path
        )
        return asked

    def _fields(self, request: HttpRequest) -> Any:
        if request.GET and request.method == "POST":
            raise InvalidRequestError(description="Parameters go into the body.")
        if request.method == "POST" and request.content_type != _FORM:
            raise InvalidRequestError(description=f"The body has to be {_FORM}.")
        try:
            if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
                raise InvalidRequestError(description="This is too much.", status_code=413)
            return request.POST.lists()
        except (BadRequest, SuspiciousOperation, MultiPartParserError, ValueError) as error:
            raise InvalidRequestError(description="The body can't be read.") from error

    def respond(self, body: str, status: int, headers: dict[str, str]) -> HttpResponse:
        response = HttpResponse(body, status=status, content_type="application/json")
        response["Cache-Control"] = "no-store"  # RFC 6749 §5.1
        response["Pragma"] = "no-cache"
        response["X-Content-Type-Options"] = "nosniff"
        for name in ("WWW-Authenticate", "Content-Type"):
            if name in headers:
                response[name] = headers[name]
        if status == 401 and _error_in(body) == "invalid_client":
            response["WWW-Authenticate"] = 'Basic realm="oauth"'  # RFC 6749 §5.2
        return response


def _error_in(body: str) -> str:
    try:
        return str(json.loads(body).get("error", ""))
    except ValueError:
        return ""


class TokenView(Endpoint):
    """``/openid/token``."""

    def answer(self, asked: Request) -> tuple[str, int, dict[str, str]]:
        endpoint = server()
        handler = endpoint.grant_types.get(asked.grant_type, endpoint.default_grant_type_handler)
        asked.scopes = (asked.scope or "").split()
        asked.extra_credentials = None
        headers, body, status = handler.create_token_response(asked, endpoint.default_token_type)
        return body, status, headers


class RevokeView(Endpoint):
    """``/openid/revoke`` (RFC 7009)."""

    def answer(self, asked: Request) -> tuple[str, int, dict[str, str]]:
        endpoint = server()
        endpoint.validate_revocation_request(asked)
        endpoint.request_validator.revoke_token(asked.token, asked.token_type_hint, asked)
        return "", 200, {}


class IntrospectView(Endpoint):
    """``/openid/introspect`` (RFC 7662)."""

    for_scripts = False

    def answer(self, asked: Request) -> tuple[str, int, dict[str, str]]:
        endpoint = server()
        endpoint.validate_introspect_request(asked)
        if asked.client.client_type == asked.client.CLIENT_PUBLIC:
            raise InvalidClientError  # who only says its name has proven nothing (§2.1)
        found = endpoint.request_validator.introspect_token(asked.token, asked.token_type_hint, asked)
        return json.dumps({"active": found is not None, **(found or {})}), 200, {}


class UserinfoView(Endpoint):
    """``/openid/userinfo`` (OpenID Connect Core §5.3), by GET and POST; the token in the header or in the body.

    SECURITY: not in the query, which is logged (RFC 9700 §4.3.2).
    """

    http_method_names = ("get", "post", "head", "options")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.post(request)

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            self.asked = asked = Request(request.path, headers={})
            token = self._token(request)
            if not token:
                return self._challenge(401)
            if not server().request_validator.validate_bearer_token(token, [], asked):
                return self._challenge(401, "invalid_token", "The access token is not valid, or not any more.")
        except OAuth2Error as error:
            return self._challenge(error.status_code, error.error, error.description)
        if "openid" not in asked.scopes or asked.user is None:
            return self._challenge(403, "insufficient_scope", "The access token was not given for openid.")
        return self.respond(json.dumps(server().request_validator.get_userinfo_claims(asked)), 200, {})

    def _token(self, request: HttpRequest) -> str:
        scheme, _space, sent = request.headers.get("Authorization", "").partition(" ")
        found = [sent.strip()] if scheme.lower() == "bearer" else []
        if "access_token" in request.GET:
            raise InvalidRequestError(description="The access token goes into the header.")
        if request.method == "POST" and request.content_type == _FORM:
            fields = single(self._fields(request))
            found += [fields["access_token"]] if "access_token" in fields else []
        if len(found) > 1:
            raise InvalidRequestError(description="The access token came twice.")
        return found[0] if found else ""

    def _challenge(self, status: int, error: str = "", description: str = "") -> HttpResponseBase:
        """RFC 6750 §3. Without a token there is nothing wrong with it to tell."""
        said = {"error": error, "error_description": description} if error else {}
        response = self.respond(json.dumps(said), status, {})
        values = ", ".join([f'{name}="{value}"' for name, value in said.items()])
        response["WWW-Authenticate"] = f"Bearer {values}" if values else "Bearer"
        return response
