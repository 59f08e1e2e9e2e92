"""Payloads of real clients and authenticators, recorded in Chromium: they verify, and each mutation of one is refused.

Half of them come from authenticators that verify nobody (a security key without a PIN, U2F). Our doors always ask for
user verification (security rule 32), so those are verified by the functions below the doors, and refused at them.
"""

import base64
import copy
import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from passwordless_auth import derivation
from passwordless_auth.exceptions import InvalidCredential
from passwordless_auth.methods import passkey
from passwordless_auth.models import Challenge, Passkey, Profile
from tests.passkeys import send

PAIRS = json.loads((Path(__file__).parent / "webauthn-fixtures.json").read_text())
ORIGIN = "http://localhost:8000"
CODES = {"invalid_credential", "unknown_credential"}

every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair['client']}-{pair['authenticator']}")


@pytest.fixture(autouse=True)
def localhost(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = ORIGIN
    settings.PASSWORDLESS_AUTH_PASSKEY_ORIGINS = [ORIGIN]


def decoded(text):
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_there_are_twelve():
    assert len(PAIRS) == 12
    assert {pair["client"] for pair in PAIRS} == {"plid", "native", "swa"}


# -- below the doors


def registered(pair, payload=None, **options):
    options = {"user_verification": pair["requireUV"], **options}
    answer = passkey.read(payload or pair["registration"], ceremony="webauthn.create")
    return passkey.verify_registration(answer, challenge=decoded(pair["regOptions"]["challenge"]), **options)


def asserted(pair, payload=None, **options):
    options = {"user_verification": pair["requireUV"], **options}
    read = {"user_verification": options["user_verification"]}
    answer = passkey.read(payload or pair["authentication"], ceremony="webauthn.get", **read)
    return passkey.verify_assertion(
        answer,
        challenge=decoded(pair["authOptions"]["challenge"]),
        public_key=registered(pair).public_key,
        **options,
    )


@every_pair
def test_a_pair_verifies(pair):
    new = registered(pair)
    used = asserted(pair)

    assert encoded(new.credential_id) == pair["registration"]["id"].rstrip("=")
    assert new.algorithm == pair["registration"]["response"]["publicKeyAlgorithm"] == -7
    assert used.sign_count == new.sign_count == 0 or used.sign_count > new.sign_count
    assert new.backup_eligible == used.backup_eligible == (pair["authenticator"] == "synced")


@every_pair
def test_who_was_not_verified_is_refused_by_default(pair):
    if pair["requireUV"]:
        registered(pair, user_verification=True)
        asserted(pair, user_verification=True)
        return
    with pytest.raises(InvalidCredential):
        registered(pair, user_verification=True)
    with pytest.raises(InvalidCredential):
        asserted(pair, user_verification=True)


# -- at the doors, with the recorded challenges taken for ones of ours


@pytest.fixture
def challenges(monkeypatch):
    """Recorded challenges that stand for rows: the only thing that a replayed recording can't have."""
    rows = {}
    real = derivation.public_id_of_webauthn_challenge

    def named(challenge, **bound):
        return rows.get(challenge) or real(challenge, **bound)

    monkeypatch.setattr(derivation, "public_id_of_webauthn_challenge", named)
    return rows


class Door:
    """A person with the recorded user handle, signed in by code; then a visitor."""

    def __init__(self, browser, challenges, pair):
        self.browser, self.challenges, self.pair = browser, challenges, pair
        browser.sign_in("jane@example.com")
        Profile.objects.update(handle=pair["userHandle"])

    def register(self, payload):
        assert send(self.browser, "/account/passkeys/options/", {}, Origin=ORIGIN).status_code == 200
        self._take(self.pair["regOptions"]["challenge"])
        return send(self.browser, "/account/passkeys/register/", payload, Origin=ORIGIN)

    def sign_in(self, payload):
        assert send(self.browser, "/login/passkey/options/", {}, Origin=ORIGIN).status_code == 200
        self._take(self.pair["authOptions"]["challenge"])
        return send(self.browser, "/login/passkey/verify/?next=/members/", payload, Origin=ORIGIN)

    def _take(self, recorded):
        self.challenges[decoded(recorded)] = Challenge.objects.latest("pk").public_id


@pytest.fixture
def door(browser, challenges):
    return lambda pair: Door(browser, challenges, pair)


@pytest.mark.django_db
@every_pair
def test_a_pair_signs_in_over_http(pair, door):
    here = door(pair)
    made = here.register(pair["registration"])
    if not pair["requireUV"]:
        assert (made.status_code, made.json()["error"]) == (400, "invalid_credential")
        return
    assert made.status_code == 200, made.content
    here.browser.submit("/logout/")

    response = here.sign_in(pair["authentication"])

    assert response.json() == {"next": "/members/"}
    assert here.browser.who()["level"] == "phr"
    assert Passkey.objects.get().user == User.objects.get()


# -- mutations


def with_client_data(member, value):
    def mutate(payload):
        data = json.loads(decoded(payload["response"]["clientDataJSON"]))
        data[member] = value
        payload["response"]["clientDataJSON"] = encoded(json.dumps(data, separators=(",", ":")).encode())

    return mutate


def with_bytes(member, change):
    def mutate(payload):
        data = bytearray(decoded(payload["response"][member]))
        changed = change(data)
        payload["response"][member] = encoded(bytes(data if changed is None else changed))

    return mutate


def with_member(path, value):
    def mutate(payload):
        place = payload
        *way, name = path.split(".")
        for step in way:
            place = place[step]
        place[name] = value

    return mutate


def without_member(path):
    def mutate(payload):
        place = payload
        *way, name = path.split(".")
        for step in way:
            place = place[step]
        place.pop(name, None)

    return mutate


def flip(index, bits=1):
    def change(data):
        data[index] ^= bits

    return change


IN_BOTH = {
    "another origin": with_client_data("origin", "http://localhost:8001"),
    "another host": with_client_data("origin", "http://evil.example"),
    "origin with a slash": with_client_data("origin", ORIGIN + "/"),
    "no origin": with_client_data("origin", None),
    "another challenge": with_client_data("challenge", encoded(bytes(32))),
    "no challenge": with_client_data("challenge", ""),
    "challenge is a number": with_client_data("challenge", 7),
    "another type": with_client_data("type", "payment.get"),
    "in a frame": with_client_data("crossOrigin", True),
    "under another page": with_client_data("topOrigin", "https://evil.example"),
    "client data cut off": with_bytes("clientDataJSON", lambda data: data[:-5]),
    "client data is not base64url": with_member("response.clientDataJSON", "%%%"),
    "client data is a list": with_member("response.clientDataJSON", ["e30"]),
    "no client data": without_member("response.clientDataJSON"),
    "no response": without_member("response"),
    "another id": with_member("id", encoded(b"another")),
    "another rawId": with_member("rawId", encoded(b"another")),
    "id of 1024 bytes": lambda payload: payload.update(id=encoded(bytes(1024)), rawId=encoded(bytes(1024))),
    "no id": without_member("id"),
    "id is null": with_member("id", None),
    "type is a password": with_member("type", "password"),
    "no type": without_member("type"),
}
OF_REGISTRATION = {
    **IN_BOTH,
    "type of an assertion": with_client_data("type", "webauthn.get"),
    "CBOR garbage": with_member("response.attestationObject", encoded(b"\xff\x00garbage")),
    "CBOR that ends early": with_bytes("attestationObject", lambda data: data[:-40]),
    "CBOR of something else": with_member("response.attestationObject", encoded(b"\xa1\x61a\x01")),
    "CBOR that is nested": with_member("response.attestationObject", encoded(b"\x81" * 5000)),
    "CBOR that promises much": with_member("response.attestationObject", encoded(b"\x9b" + b"\xff" * 8)),
    "another rpId": with_bytes(
        "attestationObject", lambda data: data.replace(data[data.find(b"authData") + 10 :][:32], bytes(32))
    ),
    "no attestation object": without_member("response.attestationObject"),
    "attestation object is null": with_member("response.attestationObject", None),
}
OF_ASSERTION = {
    **IN_BOTH,
    "type of a registration": with_client_data("type", "webauthn.create"),
    "another rpId": with_bytes("authenticatorData", flip(0)),
    "nobody present": with_bytes("authenticatorData", flip(32, 0b1)),
    "nobody verified": with_bytes("authenticatorData", flip(32, 0b100)),
    "eligible for backup, changed": with_bytes("authenticatorData", flip(32, 0b1000)),
    "another counter": with_bytes("authenticatorData", flip(36, 0xFF)),
    "authenticator data cut off": with_bytes("authenticatorData", lambda data: data[:36]),
    "bytes after the authenticator data": with_bytes("authenticatorData", lambda data: data + b"\0"),
    "another signature": with_bytes("signature", flip(-1)),
    "signature of zeros": with_bytes("signature", lambda data: bytes(len(data))),
    "signature is no DER": with_bytes("signature", lambda data: b"\x00" + data),
    "empty signature": with_member("response.signature", ""),
    "no signature": without_member("response.signature"),
    "signature is a number": with_member("response.signature", 5),
    "another user handle": with_member("response.userHandle", encoded(b"somebody")),
    "no user handle": without_member("response.userHandle"),
    "user handle is a list": with_member("response.userHandle", [1]),
}
verified_pairs = pytest.mark.parametrize(
    "pair",
    [pair for pair in PAIRS if pair["requireUV"]],
    ids=lambda pair: f"{pair['client']}-{pair['authenticator']}",
)


@pytest.mark.django_db
@verified_pairs
@pytest.mark.parametrize("name", OF_REGISTRATION)
def test_a_changed_registration_is_refused(pair, name, door):
    payload = copy.deepcopy(pair["registration"])
    OF_REGISTRATION[name](payload)
    assert payload != pair["registration"]

    response = door(pair).register(payload)

    assert 400 <= response.status_code < 500, response.content
    assert response.json()["error"] in CODES
    assert not Passkey.objects.exists()


@pytest.mark.django_db
@verified_pairs
@pytest.mark.parametrize("name", OF_ASSERTION)
def test_a_changed_assertion_is_refused(pair, name, door):
    payload = copy.deepcopy(pair["authentication"])
    OF_ASSERTION[name](payload)
    assert payload != pair["authentication"]
    here = door(pair)
    assert here.register(pair["registration"]).status_code == 200
    here.browser.submit("/logout/")

    response = here.sign_in(payload)

    assert 400 <= response.status_code < 500, response.content
    assert response.json()["error"] in CODES
    assert not here.browser.who()["authenticated"]


@pytest.mark.django_db
@verified_pairs
def test_padding_and_members_that_nobody_needs_change_nothing(pair, door):
    def padded(value):
        if isinstance(value, dict):
            return {name: padded(inner) for name, inner in value.items()}
        return value + "=" * (-len(value) % 4) if isinstance(value, str) else value

    here = door(pair)
    payload = copy.deepcopy(pair["registration"])
    payload = {**payload, "rawId": padded(payload["rawId"]), "response": padded(payload["response"])}
    payload |= {"user": {"id": "admin", "name": "admin"}, "more": [1, {"x": None}]}
    assert here.register(payload).status_code == 200
    assert Passkey.objects.get().user.email == "jane@example.com"
    here.browser.submit("/logout/")

    assert here.sign_in(padded(pair["authentication"])).status_code == 200


@pytest.mark.django_db
def test_the_key_is_taken_from_what_was_attested_and_not_from_what_the_page_says(door):
    pair = PAIRS[0]
    here = door(pair)
    payload = copy.deepcopy(pair["registration"])
    payload["response"] |= {"publicKey": PAIRS[3]["registration"]["response"]["publicKey"], "publicKeyAlgorithm": -257}

    assert here.register(payload).status_code == 200

    assert Passkey.objects.get().algorithm == -7
    here.browser.submit("/logout/")
    assert here.sign_in(pair["authentication"]).status_code == 200
