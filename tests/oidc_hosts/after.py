"""What became of it behind our endpoints. Reads what ``before`` printed, and prints each answer, as JSON."""

import base64
import hashlib
import json
import sys
from io import StringIO
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

sys.path.append(str(Path(__file__).parents[2]))

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402

from passwordless_auth.oidc.models import ClientSettings  # noqa: E402
from passwordless_auth.testing import signed_in_client  # noqa: E402

VERIFIER = "v" * 50
CALLBACK = "https://app.example/callback"
FORM = "application/x-www-form-urlencoded"

setup_test_environment()
before = json.load(sys.stdin)
said = StringIO()
call_command("makemigrations", check=True, dry_run=True, stdout=said)
call_command("migrate", verbosity=0)
call_command("passwordless_import_identities", stdout=StringIO())
call_command("check", databases=["default"], stderr=said, stdout=said)
tried = {"checks": said.getvalue(), "ids": sorted(get_application_model().objects.values_list("client_id", flat=True))}


def token(client_id, **fields):
    secret = before[client_id]["secret"]
    pair = base64.b64encode(f"{quote(client_id)}:{quote(secret)}".encode()).decode()
    sent = {"headers": {"authorization": f"Basic {pair}"}} if secret else {}
    fields |= {} if secret else {"client_id": client_id}
    return Client().post("/openid/token", urlencode(fields), content_type=FORM, **sent).json()


def userinfo(access_token):
    return Client().get("/openid/userinfo", headers={"authorization": f"Bearer {access_token}"}).status_code


def signs_in_again(client_id):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid read",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    answer = signed_in_client(User.objects.get()).get(f"/openid/authorize?{urlencode(query)}")
    code = parse_qs(urlsplit(answer.url).query)["code"][0]
    return token(client_id, grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER)


for client_id in ("shop", "script"):
    old = before[client_id]
    refreshed = token(client_id, grant_type="refresh_token", refresh_token=old["refresh_token"])
    tried[client_id] = {
        "old access token": userinfo(old["access_token"]),
        "old refresh token": sorted(refreshed),
        "what it gave": userinfo(refreshed.get("access_token", "")),
        "the next refresh": sorted(
            token(client_id, grant_type="refresh_token", refresh_token=refreshed.get("refresh_token", ""))
        ),
        "a new sign-in": sorted(signs_in_again(client_id)),
    }
tried["machine"] = token("machine", grant_type="client_credentials", scope="read").get("scope")
tried["settings"] = sorted(
    ClientSettings.objects.exclude(secret_digest="").values_list("application__client_id", "kind")
)
root = User.objects.create_superuser("root", "root@example.com")
admin, page = signed_in_client(root, "phr"), get_application_model()._meta
tried["admin"] = admin.get(f"/admin/{page.app_label}/{page.model_name}/").status_code
shop = get_application_model().objects.get(client_id="shop")
form = admin.get(f"/admin/{page.app_label}/{page.model_name}/{shop.pk}/change/").context["adminform"].form
fields = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False, "", [])}
saved = admin.post(f"/admin/{page.app_label}/{page.model_name}/{shop.pk}/change/", {**fields, "name": "Renamed"})
tried["saved"] = (saved.status_code, get_application_model().objects.get(client_id="shop").name)
if hasattr(shop, "department"):
    tried["own columns"] = get_application_model().objects.get(client_id="shop").department
    get_application_model().objects.update(closed=True)
    tried["closed"] = token("machine", grant_type="client_credentials", scope="read").get("error")
print(json.dumps(tried))
