"""oauthlib's OpenID server, set up for us, and the way from a request's parameters to it and back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.utils import scope_to_list
from oauthlib.openid import Server as OpenIDServer

from . import _dot, requests
from .validator import Validator

for _name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "oauthlib"]:
    # SECURITY: what it says at DEBUG has codes and tokens as they are. On each logger: a parent's filter is not asked,
    # and a level is the host's to set.
    logging.getLogger(_name).addFilter(lambda record: record.levelno > logging.DEBUG)

#: The path does not matter to oauthlib, which wants one.
_AUTHORIZE: Final = "/openid/authorize"


class Server(OpenIDServer):  # type: ignore[misc]  # untyped
    """All endpoints of oauthlib. The password grant is none of ours (RFC 9700 §2.4); the device grant is
    django-oauth-toolkit's own."""

    def __init__(self) -> None:
        super().__init__(
            Validator(),
            token_expires_in=lambda _request: _dot.oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS,
            token_generator=lambda _request: secrets.token_urlsafe(32),
        )
        for name in ("password", "urn:ietf:params:oauth:grant-type:device_code"):
            del self._grant_types[name]
        for grant in (
            self.auth_grant,
            self.implicit_grant,
            self.openid_connect_auth,
            self.openid_connect_implicit,
            self.openid_connect_hybrid,
        ):
            grant.custom_validators.pre_auth.append(requests.check)


@cache
def server() -> Server:
    return Server()


@dataclass(frozen=True)
class Draft:
    """An authorization request before oauthlib has looked at it: its parameters, and what answers it."""

    params: Mapping[str, str]
    request: Request
    handler: Any

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Draft:
        params = requests.known(params, requests.OF_AUTHORIZATION)
        response_type = requests.sorted_words(params.get("response_type", ""))
        sent = {**params, "response_type": _as_oauthlib_has_it(response_type), "response_mode": "fragment"}
        if not response_type:
            del sent["response_type"]
        request = requests.SingleRequest(f"{_AUTHORIZE}?{urlencode(sent)}")
        request.asked_mode = params.get("response_mode", "")
        request.scopes = scope_to_list(request.scope) or []
        request.authorization = request.wishes = None
        endpoint = server()
        handler = endpoint.response_types.get(request.response_type, endpoint.default_response_type_handler)
        return cls(params, request, handler)

    def validate(self) -> None:
        """Raises oauthlib's FatalClientError (nothing may be sent to the client) or OAuth2Error (it is told)."""
        self.handler.validate_authorization_request(self.request)

    def answer(self, authorization: Any) -> list[tuple[str, str]]:
        """Make what the client asked for; returns the parameters of the answer, ``state`` among them."""
        self.request.authorization = authorization
        self.request.user = authorization.user
        headers, _body, _status = self.handler.create_authorization_response(self.request, server().default_token_type)
        return parse_qsl(urlsplit(headers["Location"]).fragment, keep_blank_values=True)


def _as_oauthlib_has_it(response_type: str) -> str:
    """oauthlib names its handlers by the words in this order; a word that it does not know stays what it is."""
    known = ("code", "id_token", "token", "none")
    return " ".join(sorted(response_type.split(), key=lambda word: known.index(word) if word in known else -1))
