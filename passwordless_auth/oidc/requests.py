"""One reader for what comes to an endpoint, and what OpenID Connect Core adds to an authorization request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.errors import (
    CustomOAuth2Error,
    InvalidRequestError,
    InvalidRequestFatalError,
    InvalidScopeError,
    OAuth2Error,
    UnsupportedResponseTypeError,
)

from ..models import Level
from . import _dot
from .claims import open_to

#: How the answer can travel (OAuth 2.0 Multiple Response Types; Form Post Response Mode).
RESPONSE_MODES: Final = ("query", "fragment", "form_post", "web_message")
PROMPTS: Final = ("none", "login", "consent", "select_account", "create")
#: What we know of an authorization request: OAuth 2.0, OpenID Connect Core §3.1.2.1, PKCE, response modes.
OF_AUTHORIZATION: Final = frozenset(
    {
        "acr_values",
        "claims",
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "id_token_hint",
        "login_hint",
        "max_age",
        "nonce",
        "prompt",
        "redirect_uri",
        "registration",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
        "ui_locales",
    }
)
#: Those of the endpoints that Clients call.
OF_CLIENTS: Final = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "scope",
        "token",
        "token_type_hint",
    }
)
#: A code challenge by S256 is SHA-256 in base64url, nothing else (RFC 7636 §4.2).
_S256: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def single(pairs: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """The parameters of a request, each once and with a value: what comes without one counts as not sent (RFC 6749
    §3.1). Raises InvalidRequestFatalError for one that comes twice, and for text that no database can hold.
    """
    found = {}
    for name, values in pairs:
        given = [value for value in values if value != ""]
        if len(values) > 1:
            raise InvalidRequestFatalError(description=f"Duplicate {_printable(name)} parameter.")
        if given:
            if "\0" in given[0]:
                raise InvalidRequestFatalError(description=f"The {_printable(name)} parameter can't be read.")
            found[name] = given[0]
    return found


def known(params: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """The parameters that an endpoint knows; all others are ignored (RFC 6749 §3.1).

    SECURITY: oauthlib reads its own variables from the parameters where nothing was set: ``user``, ``client``, the
    ``grant_type`` of an authorization request.
    """
    return {name: value for name, value in params.items() if name in names}


class SingleRequest(Request):  # type: ignore[misc]  # untyped
    """oauthlib's request, of parameters that went through ``single``: none comes twice, and nobody has to look for it
    once more at each of oauthlib's steps."""

    duplicate_params: Final = ()


def _printable(name: str) -> str:
    """What an error description may say (RFC 6749 §4.1.2.1: no quotes, backslashes, controls, non-ASCII)."""
    return re.sub(r"[^A-Za-z0-9_.-]", "", name)[:40]


def can_be_kept(value: Any) -> bool:
    """Whether a column of JSON holds it. What Python takes for JSON, databases may not: NUL, half of a surrogate pair,
    and what is no number (RFC 8259 §6, §8.2)."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return "\\u0000" not in text


def sorted_words(text: str) -> str:
    """A space-separated set in the one order that we keep: ``"token code"`` is ``"code token"``."""
    return " ".join(sorted(set(text.split())))


def default_mode(response_type: str) -> str:
    return "fragment" if {"token", "id_token"} & set(response_type.split()) else "query"


@dataclass(frozen=True)
class Wishes:
    """What an authorization request asks of the sign-in, checked. ``acr``: the levels that would do, in the order of
    preference; ``acr_is_essential``: nothing else will. ``max_age`` is in seconds."""

    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr: tuple[Level, ...] = ()
    acr_is_essential: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    id_token_hint: str = ""
    login_hint: str = ""
    ui_locales: tuple[str, ...] = ()

    @property
    def subject(self) -> str | None:
        """The ``sub`` that has to be signed in (``claims.id_token.sub.value``)."""
        wish = (self.claims.get("id_token") or {}).get("sub")
        value = wish.get("value") if isinstance(wish, Mapping) else None
        return value if isinstance(value, str) else None


def check(request: Request) -> dict[str, Any]:
    """What oauthlib asks us beyond OAuth, once it knows the client and where answers go: the parameters of OpenID
    Connect Core §3.1.2.1. Raises OAuth2Error. Leaves the Wishes in ``request.wishes``."""
    for name in ("request", "request_uri", "registration"):
        if _sent(request, name):
            raise CustomOAuth2Error(f"{name}_not_supported", request=request)
    words = set((request.response_type or "").split())
    if words - {"code", "id_token", "token", "none"} or ("none" in words and len(words) > 1):
        raise UnsupportedResponseTypeError(request=request)
    if "id_token" in words and "openid" not in request.scopes:
        raise InvalidScopeError(description="An ID token needs the scope openid.", request=request)
    if request.asked_mode and request.asked_mode not in RESPONSE_MODES:
        raise InvalidRequestError(description="Unknown response_mode.", request=request)
    if request.asked_mode == "query" and default_mode(request.response_type or "") == "fragment":
        raise InvalidRequestError(description="Tokens never go into the query.", request=request)
    challenge, method = request.code_challenge, request.code_challenge_method
    if (challenge or method) and (method != "S256" or not _S256.fullmatch(challenge or "")):
        raise InvalidRequestError(description="PKCE takes a code_challenge by S256 alone.", request=request)
    if request.wishes is None:
        request.wishes = _wishes(request)
    # Weighed by our own flow, which knows more than yes and no; oauthlib would ask the validator.
    request.prompt = request.claims = None
    return {}


def _sent(request: Request, name: str) -> str | None:
    """A parameter that oauthlib's Request may not know of."""
    value: str | None = request._params.get(name)
    return value


def _wishes(request: Request) -> Wishes:
    prompt = frozenset((request.prompt or "").split())
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequestError(description="prompt=none stands alone.", request=request)
    claims = _claims(request)
    acr, essential = _acr(request, claims)
    return Wishes(
        prompt=prompt.intersection(PROMPTS),
        max_age=_max_age(request),
        acr=acr,
        acr_is_essential=essential,
        claims=claims,
        id_token_hint=_sent(request, "id_token_hint") or "",
        login_hint=_sent(request, "login_hint") or "",
        ui_locales=tuple((_sent(request, "ui_locales") or "").split()),
    )


def _max_age(request: Request) -> int | None:
    given = _sent(request, "max_age")
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", given):
        raise InvalidRequestError(description="max_age is a number of seconds.", request=request)
    return int(given)


def _claims(request: Request) -> dict[str, Any]:
    """The ``claims`` parameter (§5.5): an object with ``id_token`` and ``userinfo``, each an object of names."""
    if request.claims is None:
        return {}
    try:
        given = json.loads(request.claims)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not can_be_kept(given):
        raise _bad_claims(request)
    found = {}
    for member in ("id_token", "userinfo"):
        names = given.get(member)
        if names is None:
            continue
        if not isinstance(names, dict) or not all(wish is None or isinstance(wish, dict) for wish in names.values()):
            raise _bad_claims(request)
        found[member] = open_to(names, _dot.scopes_of(request.client))
    return found


def _bad_claims(request: Request) -> OAuth2Error:
    return InvalidRequestError(description="Malformed claims parameter.", request=request)


def _acr(request: Request, claims: Mapping[str, Any]) -> tuple[tuple[Level, ...], bool]:
    wish = (claims.get("id_token") or {}).get("acr")
    if wish:
        values = wish.get("values") if isinstance(wish.get("values"), list) else [wish.get("value")]
        return _levels(values), bool(wish.get("essential"))
    return _levels((_sent(request, "acr_values") or "").split()), False


def _levels(values: Iterable[Any]) -> tuple[Level, ...]:
    """Those that we know. SECURITY: what a recovery made is nothing to ask for."""
    return tuple(Level(value) for value in values if value in ("single", "multi", "phr"))
