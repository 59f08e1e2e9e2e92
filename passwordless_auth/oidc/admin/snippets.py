"""What a developer pastes into a client, for what its kind uses. A secret belongs into the environment."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..conf import settings
from ..models import ClientSettings

Kind = ClientSettings.Kind


@dataclass(frozen=True)
class Snippet:
    """``title``: the library, and what it is for. ``text``: what to paste."""

    title: str | Promise
    text: str


def of(application: Any) -> list[Snippet]:
    """Those that fit the kind of this client, the usual one first."""
    client = ClientSettings.of(application)
    with_secret = client.auth_method in {ClientSettings.AuthMethod.BASIC, ClientSettings.AuthMethod.POST}
    facts = Snippet(_("What every library asks for"), _facts(application, with_secret=with_secret))
    if client.kind == Kind.SPA:
        return [Snippet(_("oidc-client-ts, in the browser"), _oidc_client_ts(application)), facts]
    if client.kind == Kind.M2M:
        return [Snippet("curl", _curl(application)), facts] if with_secret else [facts]
    if client.kind == Kind.NATIVE:
        return [facts, Snippet(_("openid-client, in Node and Electron"), _openid_client(application, ""))]
    if not with_secret:
        return [facts]
    return [
        Snippet(_("Authlib, in Django, Flask and Starlette"), _authlib(application)),
        Snippet(_("openid-client, in Node"), _openid_client(application, ", process.env.CLIENT_SECRET")),
        facts,
    ]


def _discovery() -> str:
    return settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration"


def _text(value: str) -> str:
    """As Python, JavaScript and JSON all write it."""
    return json.dumps(value, ensure_ascii=False)


def _first(uris: str, default: str) -> str:
    return _text(next(iter(uris.split()), default))


def _facts(application: Any, *, with_secret: bool) -> str:
    lines = [
        f"OIDC_ISSUER={settings.OIDC_ISSUER}",
        f"OIDC_DISCOVERY={_discovery()}",
        f"OIDC_CLIENT_ID={shlex.quote(application.client_id)}",
    ]
    if with_secret:
        lines.append("OIDC_CLIENT_SECRET=…")
    return "\n".join([*lines, *(f"OIDC_REDIRECT_URI={uri}" for uri in application.redirect_uris.split()[:1])])


def _authlib(application: Any) -> str:
    return f"""\
import os

from authlib.integrations.django_client import OAuth  # or flask_client, starlette_client

oauth = OAuth()
oauth.register(
    "sso",
    server_metadata_url={_text(_discovery())},
    client_id={_text(application.client_id)},
    client_secret=os.environ["CLIENT_SECRET"],
    client_kwargs={{"scope": "openid profile email", "code_challenge_method": "S256"}},
)

# the sign-in page:     return oauth.sso.authorize_redirect(request, {_first(application.redirect_uris, "https://…")})
# where people return:  person = oauth.sso.authorize_access_token(request)["userinfo"]"""


def _openid_client(application: Any, secret: str) -> str:
    https = settings.OIDC_ISSUER.startswith("https:")
    middle = secret if https else f"{secret or ', undefined'}, undefined, {{ execute: [client.allowInsecureRequests] }}"
    return f"""\
import * as client from "openid-client";

const config = await client.discovery(
  new URL({_text(settings.OIDC_ISSUER)}), {_text(application.client_id)}{middle},
);

// the sign-in page: keep both values in the person's session, and send them to url
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const url = client.buildAuthorizationUrl(config, {{
  redirect_uri: {_first(application.redirect_uris, "https://…")},
  scope: "openid profile email",
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
  state: expectedState,
}});

// where people return
const tokens = await client.authorizationCodeGrant(config, currentUrl, {{ pkceCodeVerifier, expectedState }});
console.log(tokens.claims());"""


def _oidc_client_ts(application: Any) -> str:
    return f"""\
import {{ UserManager }} from "oidc-client-ts";

const people = new UserManager({{
  authority: {_text(settings.OIDC_ISSUER)},
  client_id: {_text(application.client_id)},
  redirect_uri: {_first(application.redirect_uris, "https://…")},
  post_logout_redirect_uri: {_first(application.post_logout_redirect_uris, "https://…")},
  scope: "openid profile email",
}});

// the button:           await people.signinRedirect();
// where people return:  const person = await people.signinRedirectCallback();"""


def _curl(application: Any) -> str:
    endpoint = settings.BASE_URL + reverse("passwordless_auth_oidc:token")
    client_id = shlex.quote(quote(application.client_id, safe=""))
    return f"""\
# CLIENT_SECRET: percent-encoded where it has more than letters, digits, "-", ".", "_" and "~"
curl --user {client_id}:"$CLIENT_SECRET" --data grant_type=client_credentials {endpoint}"""
