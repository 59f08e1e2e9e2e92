"""A person with a passkey, at the front door: JSON over HTTP as our pages' script sends it."""

from __future__ import annotations

import json

from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import NO_FAULT

ORIGIN = "https://testserver"


def send(browser, path, body, **headers):
    headers.setdefault("Origin", ORIGIN)
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return browser.post(path, data, content_type="application/json", headers=headers)


def asked_to_sign_in(browser, **asked):
    response = send(browser, "/login/passkey/options/", asked)
    assert response.status_code == 200, response.content
    return response.json()


def answer(browser, credential, query=""):
    return send(browser, f"/login/passkey/verify/{query}", credential)


def sign_in(browser, authenticator, *, query="", fault=NO_FAULT, client="native", **asked):
    """The whole ceremony. Returns the response to the answer."""
    options = asked_to_sign_in(browser, **asked)
    return answer(browser, authenticator.get(options, origin=ORIGIN, fault=fault, client=client), query)


def asked_to_register(browser, query=""):
    response = send(browser, f"/account/passkeys/options/{query}", {})
    assert response.status_code == 200, response.content
    return response.json()


def register(browser, authenticator=None, *, query="", fault=NO_FAULT, client="native"):
    """Add a passkey to who is signed in. Returns the authenticator that holds it, and the response."""
    authenticator = authenticator or Authenticator()
    options = asked_to_register(browser)
    made = authenticator.create(options, origin=ORIGIN, fault=fault, client=client)
    return authenticator, send(browser, f"/account/passkeys/register/{query}", made)


def with_passkey(browser, address="ada@example.com", **kinds):
    """Sign in by code and add a passkey. Returns the authenticator."""
    browser.sign_in(address)
    authenticator, response = register(browser, Authenticator(**kinds))
    assert response.status_code == 200, response.content
    return authenticator
