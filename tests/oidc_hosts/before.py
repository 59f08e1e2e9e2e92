"""Django-oauth-toolkit's own pages hand out what somebody will have when the site moves. Prints it, as JSON."""

import base64
import hashlib
import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

sys.path.append(str(Path(__file__).parents[2]))

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402

VERIFIER = "v" * 50
CALLBACK = "https://app.example/callback"
FORM = "application/x-www-form-urlencoded"

call_command("migrate", verbosity=0)
User.objects.create_user("ada", "ada@example.com")


def registered(client_id, **changes):
    application = get_application_model()(
        client_id=client_id,
        name="The App",
        redirect_uris=CALLBACK,
        skip_authorization=True,
        **{"client_type": "confidential", "authorization_grant_type": "authorization-code", **changes},
    )
    secret = application.client_secret
    application.save()
    return secret


def token(client_id, secret, **fields):
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    sent = {"headers": {"authorization": f"Basic {pair}"}} if secret else {}
    fields |= {} if secret else {"client_id": client_id}
    answer = Client().post("/o/token/", urlencode(fields), content_type=FORM, **sent)
    assert answer.status_code == 200, answer.content
    return answer.json()


def signed_in(client_id, secret):
    """The tokens that ada gets from a client, by django-oauth-toolkit's pages."""
    browser = Client()
    browser.force_login(User.objects.get())
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid read",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    answer = browser.get(f"/o/authorize/?{urlencode(query)}")
    code = parse_qs(urlsplit(answer.url).query)["code"][0]
    code = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return token(client_id, secret, grant_type="authorization_code", **code)


made = {}
for client_id, changes in {
    "shop": {},
    "script": {"client_type": "public", "client_secret": ""},
    "machine": {"authorization_grant_type": "client-credentials"},
}.items():
    secret = registered(client_id, **changes)
    given = (
        token(client_id, secret, grant_type="client_credentials", scope="read")
        if client_id == "machine"
        else signed_in(client_id, secret)
    )
    made[client_id] = {"secret": secret, **given}
print(json.dumps(made))
