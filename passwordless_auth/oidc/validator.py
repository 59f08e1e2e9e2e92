"""oauthlib's questions, answered from django-oauth-toolkit's tables and ours.

It implements oauthlib's interface itself. Of django-oauth-toolkit's own validator more than half would have been
overridden: codes and tokens by digest, codes that are remembered, families, facts of the sign-in, silent sign-in,
client assertions, our signing keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.db.models import F
from django.utils import timezone
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors
from oauthlib.openid import RequestValidator

from ..models import Counter
from ..models.compiled import CompiledSelect
from ..models.counter import Window
from ..models.event import announce, record
from . import _dot, claims, clients, tokens
from .conf import settings
from .models import AccessTokenOrigin, Authorization, ClientSettings
from .requests import sorted_words

#: Of these no refresh is asked.
_NO_REFRESH: Final = frozenset({"client_credentials", "implicit"})


def digest_of(value: str) -> str:
    """What is kept of a code or a token: SHA-256, hex. They are 256 random bits: no salt, no stretching."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _code(digest: str) -> Any:
    rows = Authorization.objects.select_related(
        "application__passwordless_settings", "user__passwordless_profile", "sign_in"
    )
    return claims.with_addresses(rows.filter(code_digest=digest), "user")


def _access_token(digest: str) -> Any:
    rows = _dot.get_access_token_model().objects.select_related(
        "application__passwordless_settings", "user__passwordless_profile", "origin__authorization__sign_in"
    )
    return claims.with_addresses(rows.filter(token_checksum=digest), "user")


def _refresh_token(digest: str) -> Any:
    # Several rows may share a digest in old tables: the one that is alive is meant, else the last that was.
    rows = _dot.get_refresh_token_model().objects.select_related(
        "application__passwordless_settings", "user__passwordless_profile", "origin__authorization__sign_in"
    )
    alive_first = rows.filter(token_checksum=digest).order_by(F("revoked").desc(nulls_first=True))
    return claims.with_addresses(alive_first, "user")[:1]


authorization_of_code: CompiledSelect[Authorization] = CompiledSelect(_code, digest=str)
access_token_with: CompiledSelect[Any] = CompiledSelect(_access_token, digest=str)
refresh_token_with: CompiledSelect[Any] = CompiledSelect(_refresh_token, digest=str)


class Validator(RequestValidator):  # type: ignore[misc]  # untyped
    """``request`` is oauthlib's. What we add to it: ``requester``, ``started_at`` (datetime), ``authorization``,
    ``refresh_row``, ``credentials_given``."""

    # -- clients

    def client_authentication_required(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        return True  # ``authenticate_client`` knows public clients, too

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Who calls, by what its registration says it calls with. The row that a code or a refresh token names comes
        with its client: then that is not asked a second time. Raises InvalidClientError."""
        named = self._row_of(request)
        request.client = clients.authenticate(request.credentials_given, known=getattr(named, "application", None))
        if not request.client.is_usable(request):  # a host's own Application may say so
            raise errors.InvalidClientError
        request.client_id = request.client.client_id
        return True

    def _row_of(self, request: Request) -> Any:
        if request.grant_type == "authorization_code" and request.code:
            return self._of_code(request)
        if request.grant_type == "refresh_token" and request.refresh_token:
            request.refresh_row = refresh_token_with(digest=digest_of(request.refresh_token))
            return request.refresh_row
        return None

    def _of_code(self, request: Request) -> Authorization | None:
        if request.authorization is None:
            request.authorization = authorization_of_code(digest=digest_of(request.code))
        found: Authorization | None = request.authorization
        return found

    def validate_client_id(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> bool:
        if request.client is None or request.client.client_id != client_id:
            request.client = clients.find(client_id, request)
        return bool(request.client)

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        # SECURITY: who keeps no secret can't act for itself, whatever its row says.
        for_itself = grant_type == "client_credentials" and client.client_type != client.CLIENT_CONFIDENTIAL
        return grant_type in ClientSettings.of(client).grant_types and not for_itself

    # -- the authorization request

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Character by character (RFC 9700 §2.1). A native app's loopback address may have any port (RFC 8252 §7.3)."""
        registered = request.client.redirect_uris.split()
        if redirect_uri in registered:
            return True
        native = ClientSettings.of(request.client).kind == ClientSettings.Kind.NATIVE
        asked = _without_port(redirect_uri) if native else None
        return asked is not None and asked in {_without_port(uri) for uri in registered}

    def get_default_redirect_uri(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> str | None:
        if request.grant_type == "authorization_code" and request.authorization.redirect_uri:
            return None  # it was sent with the request for the code, and has to come again (RFC 6749 §4.1.3)
        uris = request.client.redirect_uris.split()
        return uris[0] if len(uris) == 1 else None

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        return sorted_words(response_type) in ClientSettings.of(client).response_types

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        if request.response_type == "none":
            return False  # there is no code
        if request.client.client_type == request.client.CLIENT_PUBLIC:
            return True
        return ClientSettings.of(request.client).requires_pkce

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """What we don't know is ignored (RFC 6749 §3.3: "may fully or partially ignore the scope"; OpenID Connect Core
        §3.1.2.1); asking for nothing that we know is an error."""
        known = _dot.scopes_of(client)
        if request.grant_type == "client_credentials":
            known = known - claims.OF_SCOPE.keys() - {"offline_access"}  # nobody is there to be told about
        request.scopes = [scope for scope in dict.fromkeys(scopes) if scope in known]
        return bool(request.scopes) or not scopes

    def get_default_scopes(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> list[str]:
        return [] if request.grant_type == "client_credentials" else _dot.default_scopes_of(request.client)

    def validate_user_match(self, id_token_hint: str, scopes: Any, claims: Any, request: Request) -> bool:
        return True  # weighed by flows.authorize

    # -- the code

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Request, *args: Any, **kwargs: Any
    ) -> None:
        if request.response_type != "none" and request.authorization._state.adding:
            self._save_authorization(request, code["code"])

    def _save_authorization(self, request: Request, code: str | None) -> None:
        row = request.authorization
        if code:
            row.code_digest = digest_of(code)
            row.code_expires_at = timezone.now() + timedelta(
                seconds=_dot.oauth2_settings.AUTHORIZATION_CODE_EXPIRE_SECONDS
            )
            row.code_challenge = request.code_challenge or ""
        row.save(force_insert=True)

    def get_authorization_code_scopes(
        self, client_id: str, code: str, redirect_uri: str, request: Request
    ) -> list[str]:
        request.authorization = authorization_of_code(digest=digest_of(code))
        return request.authorization.scope.split() if request.authorization else []

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Spend the code: one conditional UPDATE, of which one of any number of requests is told that it was the one.
        Whatever is wrong after that, it stays spent.

        SECURITY: a code that comes again was stolen, or is: everything that came of it ends (RFC 6749 §4.1.2).
        """
        row: Authorization | None = request.authorization
        now = timezone.now()
        if row is None:
            return False
        if not Authorization.objects.filter(pk=row.pk, code_spent_at=None).update(code_spent_at=now):
            row.revoke(now=now)
            _note_theft("code_replayed", row, str(row.family), request, now)
            return False
        if row.application_id != client.pk or row.code_expires_at is None or row.code_expires_at <= now:
            return False
        if not row.is_alive():
            return False
        if request.code_verifier is not None and not row.code_challenge:
            return False  # PKCE was left out of the first step: a downgrade (RFC 9700 §4.8.2)
        request.user = row.user
        request.scopes = row.scope.split()
        return True

    def get_code_challenge(self, code: str, request: Request) -> str | None:
        return request.authorization.code_challenge or None

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        return "S256"

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        sent = request.authorization.redirect_uri
        if redirect_uri != sent and (sent or redirect_uri not in client.redirect_uris.split()):
            raise errors.InvalidGrantError(description="Mismatching redirect URI.", request=request)
        return True

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """It is spent: see ``validate_code``."""

    # -- refreshing

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether a refresh token may be used. SECURITY: one that was used before was stolen, or is: its family ends
        (RFC 9700 §4.14.2). Not by a request that had come before the other one was done: that one only loses."""
        row, now = request.refresh_row, timezone.now()
        if row is None or row.application_id != client.pk:
            return False
        authorization = _authorization_of(row)
        if row.revoked is not None:
            if row.revoked < request.started_at:
                self._end_family(row, authorization, request, now)
            return False
        idle = _dot.refresh_token_lifetime()
        if idle is not None and row.created + idle <= now:
            return False
        if authorization is not None:
            too_old = authorization.created_at + timedelta(seconds=settings.OIDC_REFRESH_LIFETIME) <= now
            if too_old or not authorization.is_alive(user=row.user):
                return False
        elif not row.user.is_active:
            return False
        request.authorization = authorization or _adopted(row)
        request.user = row.user
        return True

    def _end_family(self, row: Any, authorization: Authorization | None, request: Request, now: datetime) -> None:
        if authorization is not None:
            authorization.revoke(now=now)
        else:
            type(row).revoke_family(row.token_family)
        _note_theft("refresh_token_reused", row, str(row.token_family or row.pk), request, now)

    def get_original_scopes(self, refresh_token: str, request: Request, *args: Any, **kwargs: Any) -> list[str]:
        return str(request.authorization.scope).split()

    def rotate_refresh_token(self, request: Request) -> bool:
        return True

    # -- tokens

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        """Write the tokens of an answer; to be called inside the transaction of the request.

        Raises InvalidGrantError when another request has used the refresh token in this moment.
        """
        now = timezone.now()
        machine = request.grant_type == "client_credentials"
        if request.grant_type == "refresh_token":
            self._rotate(request, now)
        if request.authorization is not None and request.authorization._state.adding:
            self._save_authorization(request, token.get("code"))
        if not self._gives_refresh(request):
            token.pop("refresh_token", None)
        access = _dot.new_access_token(
            token["access_token"],
            user=None if machine else request.user,
            application=request.client,
            scope=token.get("scope", ""),
            expires=now + timedelta(seconds=token["expires_in"]),
        )
        refresh = None
        if "refresh_token" in token:
            refresh = _dot.new_refresh_token(
                token["refresh_token"],
                user=request.user,
                application=request.client,
                access_token=access,
                token_family=request.authorization.family,
            )
        if not machine:
            AccessTokenOrigin.objects.create(
                access_token=access, refresh_token=refresh, authorization=request.authorization
            )

    def _rotate(self, request: Request, now: datetime) -> None:
        row = request.refresh_row
        alive = type(row).objects.filter(pk=row.pk, revoked=None)
        if not alive.update(revoked=now, updated=now, token_family=request.authorization.family):
            raise errors.InvalidGrantError(request=request)

    def _gives_refresh(self, request: Request) -> bool:
        if request.grant_type in _NO_REFRESH or request.authorization is None:
            return False
        if request.grant_type == "refresh_token":
            return True
        always = ClientSettings.of(request.client).refresh == ClientSettings.Refresh.ALWAYS
        return always or "offline_access" in request.authorization.scope.split()

    def get_id_token(self, token: dict[str, Any], token_handler: Any, request: Request) -> str:
        """The signed ID token. It has the claims of the scopes at the token endpoint, and where there is no access
        token for userinfo (``response_type=id_token``); in other answers through the browser no more than it must."""
        client = ClientSettings.of(request.client)
        authorization = request.authorization
        wanted = authorization.claims.get("id_token")
        from_back_channel = request.response_type is None
        scopes = request.scopes if from_back_channel or request.response_type == "id_token" else []
        source = request.refresh_row if request.grant_type == "refresh_token" else authorization
        about = claims.of_person(
            request.user,
            client,
            scopes=scopes,
            requested=wanted,
            proven_email=source.proven_email,
            proven_phone=source.proven_phone,
        )
        return tokens.id_token(
            subject=claims.subject(request.user, client),
            client_id=request.client.client_id,
            authorization=authorization,
            alg=client.id_token_alg,
            lifetime=_dot.oauth2_settings.ID_TOKEN_EXPIRE_SECONDS,
            access_token=token.get("access_token", ""),
            code=token.get("code", ""),
            extra_claims={name: value for name, value in about.items() if name not in claims.OF_SIGN_IN},
        )

    def get_authorization_code_nonce(
        self, client_id: str, code: str, redirect_uri: str, request: Request
    ) -> str | None:
        return request.authorization.nonce or None

    # -- what a token opens

    def validate_bearer_token(self, token: str | None, scopes: Sequence[str], request: Request) -> bool:
        """Whether an access token is good. (The host's own resources ask ``resources.ResourceValidator``.)"""
        row = good_access_token(token)
        if row is None or row.application is None or not row.allow_scopes(scopes):
            return False
        request.client, request.user, request.access_token = row.application, row.user, row
        request.scopes = row.scope.split()
        return True

    def get_userinfo_claims(self, request: Request) -> dict[str, Any]:
        row = request.access_token
        authorization, client = _origin_of(row), ClientSettings.of(row.application)
        about = claims.of_person(
            row.user,
            client,
            scopes=request.scopes,
            requested=authorization.claims.get("userinfo") if authorization else None,
            proven_email=row.proven_email,
            proven_phone=row.proven_phone,
        )
        return {**about, "sub": claims.subject(row.user, client)}

    def introspect_token(
        self, token: str, token_type_hint: str, request: Request, *args: Any, **kwargs: Any
    ) -> dict[str, Any] | None:
        """RFC 7662 §2.2. SECURITY: a client learns of its own tokens alone."""
        row = good_access_token(token)
        if row is None or row.application_id != request.client.pk:
            return None
        found = {
            "client_id": row.application.client_id,
            "scope": row.scope,
            "token_type": "Bearer",
            "exp": int(row.expires.timestamp()),
            "iat": int(row.created.timestamp()),
            "iss": settings.OIDC_ISSUER,
        }
        if row.user is not None:
            found["sub"] = claims.subject(row.user, ClientSettings.of(row.application))
        return found

    def revoke_token(self, token: str, token_type_hint: str, request: Request, *args: Any, **kwargs: Any) -> None:
        """RFC 7009: of a pair, both end. A token of another client is one that we don't know."""
        digest, now = digest_of(token), timezone.now()
        row = access_token_with(digest=digest) or refresh_token_with(digest=digest)
        if row is None or row.application_id != request.client.pk:
            return
        authorization = _authorization_of(row)
        if authorization is not None:
            authorization.revoke(now=now)
        else:
            row.revoke()


def _note_theft(kind: str, row: Any, family: str, request: Request, now: datetime) -> None:
    """Tell of something stolen: each time to the log, and once a day to the table of events. Who has it can send it as
    often as they like."""
    facts = {"user": row.user, "requester": request.requester, "client_id": row.application.client_id}
    window = Window(kind, family, 86400)
    if Counter.objects.add({window: 1}, now=now)[window].number == 1:
        record(kind, now=now, **facts)
    else:
        announce(kind, **facts)


def good_access_token(token: str | None) -> Any:
    """The row of an access token that opens something now, with all that is said about its person; else ``None``."""
    row = access_token_with(digest=digest_of(token)) if token else None
    if row is None or row.is_expired():
        return None
    authorization = _origin_of(row)
    if authorization is not None and not authorization.is_alive(user=row.user):
        return None
    if row.user is not None and not row.user.is_active:
        return None
    return row


def is_ours(refresh_token: str) -> bool:
    """Whether an authorization stands behind a refresh token, which says when it ends."""
    row = refresh_token_with(digest=digest_of(refresh_token))
    return row is not None and _authorization_of(row) is not None


def _origin_of(row: Any) -> Authorization | None:
    """The authorization of a token, as it was selected with it; ``None`` where django-oauth-toolkit made the token, or
    no person is behind it."""
    try:
        found: Authorization = row.origin.authorization
    except AccessTokenOrigin.DoesNotExist:
        return None
    return found


def _authorization_of(row: Any) -> Authorization | None:
    """The authorization of a token; of a refresh token whose access token was purged, by its family."""
    found = _origin_of(row)
    if found is None and getattr(row, "token_family", None):
        found = Authorization.objects.select_related("sign_in").filter(family=row.token_family).first()
    return found


def _adopted(row: Any) -> Authorization:
    """What a refresh token of django-oauth-toolkit's stands for, unsaved: from its next use on it has an authorization
    as all others have. Nobody knows any more how its person signed in."""
    issued = row.access_token
    family = {"family": row.token_family} if row.token_family else {}
    return Authorization(application=row.application, user=row.user, scope=issued.scope if issued else "", **family)


def _without_port(uri: str) -> str | None:
    """A loopback redirect URI without its port; ``None`` for any other URI."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or parts.hostname not in {"127.0.0.1", "::1"} or "@" in parts.netloc:
        return None
    return uri.replace(f":{port}", "", 1) if port is not None else uri
