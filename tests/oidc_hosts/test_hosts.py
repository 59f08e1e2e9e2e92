"""A site that had django-oauth-toolkit keeps its clients and its tokens, with a model of its own for clients, too.

A process knows one model of clients, so each site has processes of its own: one with django-oauth-toolkit alone, whose
pages hand out tokens, and one after the move, on the same database.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.user_models.test_user_models import measured

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(script, database, clients, given=""):
    arguments, environment = measured()
    names = {"HOST_DATABASE": str(database), "HOST_CLIENTS": clients, "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"}
    names["DJANGO_SETTINGS_MODULE"] = f"tests.oidc_hosts.settings_{script}"
    done = subprocess.run(
        [sys.executable, *arguments, str(HERE / f"{script}.py")],
        cwd=ROOT,  # what coverage omits is named from here
        env={**os.environ, **environment, **names},
        input=given,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("clients", ["", "own_clients.OurClient"], ids=["its own model", "another model"])
def test_clients_and_tokens_stay(tmp_path, clients):
    database = tmp_path / "host.sqlite3"
    before = run("before", database, clients)
    assert len(json.loads(before)["shop"]["refresh_token"]) >= 20

    after = json.loads(run("after", database, clients, before))

    tokens = ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
    with_person = sorted([*tokens, "id_token"])
    expected = {
        "old access token": 200,
        "old refresh token": with_person,
        "what it gave": 200,
        "the next refresh": with_person,
        "a new sign-in": with_person,
    }
    assert after["ids"] == ["machine", "script", "shop"]
    assert after["shop"] == expected
    assert after["script"] == expected
    assert after["machine"] == "read"
    assert after["settings"] == [["machine", "m2m"], ["shop", "web"]]  # a secret moves with its first use
    assert "No changes detected" in after["checks"]
    assert "passwordless_auth_oidc.W201" in after["checks"]  # at that time nothing had been used
    assert after["admin"] == 200
    assert after["saved"] == [302, "Renamed"]
    if clients:
        assert after["own columns"] == "sales"
        assert after["closed"] == "invalid_client"
