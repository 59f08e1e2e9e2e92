"""A client: it asks, and looks hard at every answer. Signatures are verified by joserfc.

What it checks without being told is what every module of the conformance suite checks of every flow.
"""

import json
import re
import secrets
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256, sha384, sha512
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

from .agent import Agent, Landing, Page
from .provider import Provider, Response

#: What may be in the front channel, by the words of the response type.
MEMBERS = {"code": {"code"}, "token": {"access_token", "token_type", "expires_in", "scope"}, "id_token": {"id_token"}}
SECRETS = {"code", "access_token", "id_token", "refresh_token"}
HASHES = {"256": sha256, "384": sha384, "512": sha512}
#: RFC 6749 §4.1.2.1: what error_description and error_uri may be made of.
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*")
ERROR_URI = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]*")


@dataclass(frozen=True)
class Client:
    """What was registered. ``auth``: how it proves itself at the token endpoint."""

    client_id: str
    secret: str = ""
    redirect_uri: str = ""
    auth: str = "client_secret_basic"
    post_logout_redirect_uri: str = ""


@dataclass
class Asked:
    """An authorization request, and how far it came. ``seen``: the pages that were shown on the way."""

    params: dict[str, str]
    outcome: Page | Landing
    seen: list[str]


@dataclass
class Session:
    """What a client has after a flow. ``id_tokens``: the claims of each, that of the front channel first."""

    rp: "RelyingParty"
    asked: Asked
    front: dict[str, str]
    raw_id_tokens: list[str] = field(default_factory=list)
    id_tokens: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> list[str]:
        return self.asked.seen

    @property
    def access_tokens(self) -> list[str]:
        """Each that the client was given, the newest last."""
        return [given["access_token"] for given in (self.front, self.tokens) if "access_token" in given]

    @property
    def claims(self) -> dict[str, Any]:
        """Those of the newest ID token."""
        return self.id_tokens[-1]

    @property
    def id_token(self) -> str:
        return self.raw_id_tokens[-1]

    def about(self) -> dict[str, Any]:
        """What is said about the person, where it is to be found: userinfo, or the ID token where no userinfo can be
        asked."""
        if not self.access_tokens:
            return self.claims
        return self.rp.userinfo(self.access_tokens[-1], sub=self.claims["sub"] if self.id_tokens else None)


class RelyingParty:
    def __init__(
        self, provider: Provider, client: Client, *, response_type: str = "code", response_mode: str = ""
    ) -> None:
        self.provider = provider
        self.client = client
        self.response_type = response_type
        words = set(response_type.split())
        self.response_mode = response_mode or ("query" if words == {"code"} else "fragment")
        self.gives_code = "code" in words
        self.gives_token = "token" in words
        self.gives_id_token = "id_token" in words
        self.metadata = provider.metadata()
        self.keys = provider.keys(self.metadata["jwks_uri"])

    # -- asking

    def params(self, **changes: str | None) -> dict[str, str]:
        """A request; a parameter that is ``None`` is left out."""
        params: dict[str, str | None] = {
            "response_type": self.response_type,
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": "openid",
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
            "response_mode": "form_post" if self.response_mode == "form_post" else None,
            **changes,
        }
        return {name: value for name, value in params.items() if value is not None}

    def ask(self, agent: Agent, *, by_post: bool = False, **changes: str | None) -> Asked:
        """Send the person there, who does whatever the pages ask for."""
        asked = self.begin(agent, by_post=by_post, **changes)
        asked.outcome = agent.does_all(asked.outcome)
        asked.seen = list(agent.seen)
        return asked

    def begin(self, agent: Agent, *, by_post: bool = False, **changes: str | None) -> Asked:
        """Send the person there, to the first page or the answer."""
        params = self.params(**changes)
        agent.seen.clear()
        endpoint = self.metadata["authorization_endpoint"]
        outcome = agent.open(endpoint, params) if by_post else agent.open(f"{endpoint}?{urlencode(params)}")
        return Asked(params, outcome, list(agent.seen))

    def signs_in(
        self, agent: Agent, *, by_post: bool = False, exchange: dict[str, str] | None = None, **changes: str | None
    ) -> Session:
        """The whole flow: ask, take the answer, fetch the tokens, and look at all of it. ``exchange``: more parameters
        for the token endpoint."""
        session = self.take(self.ask(agent, by_post=by_post, **changes))
        if self.gives_code:
            self.redeem(session, **(exchange or {}))
        for token in session.access_tokens:
            self.userinfo(token, sub=session.claims["sub"] if session.id_tokens else None)
        return session

    def leave(self, agent: Agent, *, by_post: bool = False, confirms: bool = True, **params: str) -> Asked:
        """Send the person to the end of their session; when a page asks whether they want that, they do."""
        agent.seen.clear()
        endpoint = self.metadata["end_session_endpoint"]
        outcome = agent.open(endpoint, params) if by_post else agent.open(f"{endpoint}?{urlencode(params)}")
        if confirms and isinstance(outcome, Page) and outcome.name == "logout_confirm":
            outcome = agent.presses(outcome, "allow")
        return Asked(params, outcome, list(agent.seen))

    # -- answers

    def landed(self, asked: Asked) -> dict[str, str]:
        """The parameters of an answer that came where and as it should."""
        outcome = asked.outcome
        assert isinstance(outcome, Landing), (
            f"a page, not an answer: {outcome.url} {outcome.status} {outcome.name}\n{outcome.text}"
        )
        assert outcome.via == self.response_mode
        params = dict(outcome.params)
        uri = self.client.redirect_uri
        if outcome.via == "query":
            registered = urlsplit(uri)
            for name, value in parse_qsl(registered.query):
                assert params.pop(name) == value
            uri = registered._replace(query="").geturl()
        assert outcome.uri == uri
        assert params.pop("state", None) == asked.params.get("state")
        if self.metadata.get("authorization_response_iss_parameter_supported") or "iss" in params:
            assert params.pop("iss", None) == self.provider.issuer  # RFC 9207
        return params

    def refused(self, asked: Asked, *codes: str) -> dict[str, str]:
        """An error that came as an answer, and is one of these."""
        params = self.landed(asked)
        assert params["error"] in codes, params
        assert not SECRETS & params.keys()
        assert params.keys() <= {"error", "error_description", "error_uri"}
        assert DESCRIPTION.fullmatch(params.get("error_description", ""))
        assert ERROR_URI.fullmatch(params.get("error_uri", ""))
        return params

    def take(self, asked: Asked) -> Session:
        """The answer to a request, checked: what is in it, and the ID token."""
        front = self.landed(asked)
        assert "error" not in front, front
        expected = set().union(*(MEMBERS[word] for word in self.response_type.split()))
        assert front.keys() <= expected
        assert expected - {"scope"} <= front.keys()
        session = Session(self, asked, front)
        if self.gives_token:
            assert front["token_type"].lower() == "bearer"
            assert int(front["expires_in"]) > 0
        if self.gives_id_token:
            self._keep(session, front["id_token"], nonces={asked.params.get("nonce")})
            header, claims = self.opened(front["id_token"])
            for name, value in (("at_hash", front.get("access_token")), ("c_hash", front.get("code"))):
                if value is not None:  # OpenID Connect Core §3.2.2.9, §3.3.2.11: required here
                    assert claims[name] == half_hash(value, header["alg"])
        return session

    def redeem(self, session: Session, **changes: str) -> None:
        """Fetch the tokens for the code."""
        response = self.token(
            grant_type="authorization_code",
            code=session.front["code"],
            redirect_uri=session.asked.params["redirect_uri"],
            **changes,
        )
        self._fetched(session, response, nonces={session.asked.params.get("nonce")})

    def refresh(self, session: Session, **changes: str) -> None:
        """Fetch new tokens. Their ID token should have no nonce, and no other one (OpenID Connect Core §12.2)."""
        response = self.token(grant_type="refresh_token", refresh_token=session.tokens["refresh_token"], **changes)
        self._fetched(session, response, nonces={None, session.asked.params.get("nonce")})

    def _fetched(self, session: Session, response: Response, *, nonces: set[str | None]) -> None:
        assert response.status == 200, response.text
        assert "no-store" in response.headers["Cache-Control"]
        session.tokens = response.json()
        assert session.tokens["token_type"].lower() == "bearer"
        assert isinstance(session.tokens["expires_in"], int)
        if "id_token" not in session.tokens:
            assert "openid" not in session.asked.params["scope"].split()
            return
        self._keep(session, session.tokens["id_token"], nonces=nonces)
        header, claims = self.opened(session.tokens["id_token"])
        if "at_hash" in claims:
            assert claims["at_hash"] == half_hash(session.tokens["access_token"], header["alg"])
        first = session.id_tokens[0]
        assert (claims["iss"], claims["sub"], claims["aud"]) == (first["iss"], first["sub"], first["aud"])

    def _keep(self, session: Session, raw: str, *, nonces: set[str | None]) -> None:
        session.id_tokens.append(self.verify(raw, nonces=nonces))
        session.raw_id_tokens.append(raw)

    # -- tokens

    def opened(self, raw: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a token whose signature is by a key of the key set, found by its kid."""
        token = jwt.decode(raw, KeySet.import_key_set({"keys": self.keys}), algorithms=["RS256"])
        assert token.header["kid"] in {key["kid"] for key in self.keys}
        return token.header, token.claims

    def verify(self, raw: str, *, nonces: set[str | None]) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core §3.1.3.7). ``nonces``: what its nonce may be."""
        _header, claims = self.opened(raw)
        now = self.provider.now()
        assert claims["iss"] == self.provider.issuer
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        assert audience == [self.client.client_id]
        assert claims.get("azp", self.client.client_id) == self.client.client_id
        assert re.fullmatch(r"[\x20-\x7E]{1,255}", claims["sub"])
        assert now < claims["exp"] <= now + 3600
        assert now - 60 < claims["iat"] <= now + 1
        assert claims.get("nonce") in nonces
        if "auth_time" in claims:
            assert claims["auth_time"] <= now
        return claims

    def token(self, **fields: str) -> Response:
        """A request of the token endpoint, the client's own proof included."""
        return self.send(self.metadata["token_endpoint"], fields)

    def send(self, endpoint: str, fields: dict[str, str]) -> Response:
        client, headers = self.client, {"Content-Type": "application/x-www-form-urlencoded"}
        if client.auth == "client_secret_basic":
            # RFC 6749 §2.3.1: both are form-encoded before they are put together.
            pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        elif client.auth == "client_secret_post":
            fields = {**fields, "client_id": client.client_id, "client_secret": client.secret}
        else:
            fields = {**fields, "client_id": client.client_id}
        return self.provider.request("POST", endpoint, urlencode(fields).encode(), headers)

    def is_refused(self, response: Response, error: str) -> None:
        """RFC 6749 §5.2."""
        assert response.status == (401 if error == "invalid_client" else 400), response.text
        assert response.json()["error"] == error
        assert DESCRIPTION.fullmatch(response.json().get("error_description", ""))
        assert not SECRETS & response.json().keys()

    # -- userinfo

    def ask_userinfo(self, token: str, *, method: str = "GET", in_body: bool = False) -> Response:
        headers, body = {}, None
        if in_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode({"access_token": token}).encode()
        else:
            headers["Authorization"] = f"Bearer {token}"
        return self.provider.request(method, self.metadata["userinfo_endpoint"], body, headers)

    def userinfo(self, token: str, *, sub: str | None, **how: Any) -> dict[str, Any]:
        response = self.ask_userinfo(token, **how)
        assert response.status == 200, response.text
        claims = response.json()
        assert claims["sub"] == sub if sub else claims["sub"]
        check_types(claims)
        return claims


def half_hash(value: str, alg: str) -> str:
    """at_hash, c_hash: the left half of the digest (OpenID Connect Core §3.1.3.6)."""
    digest = HASHES[alg[-3:]](value.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def unsigned(claims: dict[str, Any]) -> str:
    """A JWT with alg none."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


#: OpenID Connect Core §5.1: what the standard claims are.
TYPES: dict[str, type | tuple[type, ...]] = {
    "email_verified": bool,
    "phone_number_verified": bool,
    "updated_at": (int, float),
    "address": dict,
    "auth_time": int,
    "exp": int,
    "iat": int,
    "amr": list,
    "aud": (str, list),
}


def check_types(claims: dict[str, Any]) -> None:
    """Standard claims have the types of the standard; what has no value is left out (§5.3.2)."""
    for name, value in claims.items():
        assert isinstance(value, TYPES.get(name, str)), (name, value)
        assert value not in ("", None), name
    for value in claims.get("address", {}).values():
        assert isinstance(value, str)
