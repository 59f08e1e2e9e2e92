"""A Client of ours, seen from its own side: asks, is answered, redeems."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from django.test import Client
from jwcrypto import jwk, jwt

from passwordless_auth.oidc import clients
from passwordless_auth.oidc.models import ClientSettings

CALLBACK = "https://app.example/callback"
ISSUER = "http://testserver/"
SECRET = "s3cret +/:%ü-of-the-app"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def make_client(client_id="app", *, public=False, secret=SECRET, first_party=True, **settings):
    from oauth2_provider.models import get_application_model

    model = get_application_model()
    columns = {
        name: settings.pop(name)
        for name in ("redirect_uris", "post_logout_redirect_uris", "allowed_origins", "authorization_grant_type")
        if name in settings
    }
    application = model.objects.create(
        client_id=client_id,
        name="The App",
        client_type=model.CLIENT_PUBLIC if public else model.CLIENT_CONFIDENTIAL,
        skip_authorization=first_party,
        **{"authorization_grant_type": model.GRANT_AUTHORIZATION_CODE, "redirect_uris": CALLBACK, **columns},
    )
    settings.setdefault("response_types", ["code"])
    settings.setdefault("auth_method", "none" if public else "client_secret_basic")
    row = ClientSettings(application=application, **settings)
    if not public:
        clients.set_secret(application, row, secret)
        application.save()
    row.save(force_insert=True)
    return application


@dataclass
class RelyingParty:
    """``browser``: the person's. What was sent with the last request is in ``state``, ``nonce``, ``verifier``."""

    browser: Client
    client_id: str = "app"
    secret: str | None = SECRET
    redirect_uri: str = CALLBACK
    back: Client = field(default_factory=Client)

    def params(self, **changes):
        self.state, self.nonce, self.verifier = (secrets.token_urlsafe(32) for _ in range(3))
        params = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": b64(hashlib.sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in params.items() if value is not None}

    def ask(self, **changes):
        """The first answer of the authorization endpoint."""
        return self.browser.get(f"/openid/authorize?{urlencode(self.params(**changes))}")

    def answer(self, response):
        """The parameters of an answer by redirect, after the checks that every client makes."""
        assert response.status_code == 303, (response.status_code, response.content)
        return self.read(response.url)

    def read(self, url):
        base, _mark, rest = url.partition("#") if "#" in url else url.partition("?")
        assert base == self.redirect_uri, url
        pairs = parse_qsl(rest, keep_blank_values=True)
        found = dict(pairs)
        assert len(found) == len(pairs)
        assert found["iss"] == ISSUER
        assert found.get("state") == self.state
        return found

    def code(self, **changes):
        return self.answer(self.ask(**changes))["code"]

    def token(self, grant_type="authorization_code", *, client_id=None, secret=..., **fields):
        """POST to the token endpoint, with the secret in the header as RFC 6749 §2.3.1 has it."""
        client_id = client_id or self.client_id
        secret = self.secret if secret is ... else secret
        headers = {}
        if secret is None:
            fields["client_id"] = client_id
        else:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return self.post("/openid/token", {"grant_type": grant_type, **fields}, headers=headers)

    def post(self, path, fields, **extra):
        fields = {name: value for name, value in fields.items() if value is not None}
        return self.back.post(path, urlencode(fields), content_type="application/x-www-form-urlencoded", **extra)

    def redeem(self, code, **changes):
        fields = {"code": code, "redirect_uri": self.redirect_uri, "code_verifier": self.verifier, **changes}
        return self.token(**fields)

    def refresh(self, refresh_token, **changes):
        return self.token("refresh_token", refresh_token=refresh_token, **changes)

    def tokens(self, **changes):
        response = self.redeem(self.code(**changes))
        assert response.status_code == 200, response.content
        return response.json()

    def userinfo(self, access_token):
        return self.back.get("/openid/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    def claims(self, id_token):
        """Those of an ID token, by the published keys."""
        keys = jwk.JWKSet.from_json(json.dumps(self.back.get("/openid/jwks").json()))
        read = jwt.JWT(jwt=id_token, key=keys, algs=["RS256", "ES256", "EdDSA"])
        claims = json.loads(read.claims)
        assert claims["iss"] == ISSUER
        assert claims["aud"] == self.client_id
        return claims


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
