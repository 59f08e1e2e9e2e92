"""Passkey payloads that a machine thought up: any JSON, and right ones with any one thing changed. Never a 500, never a
session, never a passkey."""

import base64
import copy

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from passwordless_auth.models import Passkey
from passwordless_auth.testing.authenticator import Authenticator
from tests.conftest import Browser
from tests.passkeys import ORIGIN, answer, asked_to_register, asked_to_sign_in, send, sign_in, with_passkey

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()) | st.text(max_size=50)
#: Where a right payload is changed, and to what.
MEMBERS = st.sampled_from(
    [
        ("id",),
        ("rawId",),
        ("type",),
        ("response",),
        ("response", "clientDataJSON"),
        ("response", "authenticatorData"),
        ("response", "attestationObject"),
        ("response", "signature"),
        ("response", "userHandle"),
    ]
)
many = example_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def no_limits(settings):
    for name in ("SENDS_PER_ADDRESS", "SENDS_PER_KNOWN_BROWSER", "PASSKEY_STARTS_PER_IP", "STARTS_PER_IP"):
        setattr(settings, f"PASSWORDLESS_AUTH_LIMIT_{name}", "")


def changed(payload, path, value):
    payload = copy.deepcopy(payload)
    place = payload
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return payload


def refused(response):
    assert 400 <= response.status_code < 500, response.content
    assert set(response.json()) >= {"error", "detail"}


@pytest.fixture
def visitor():
    """A visitor, and the authenticator of an account. Its right answer works."""
    owner = Browser()
    authenticator = with_passkey(owner)
    visitor = Browser()
    assert sign_in(visitor, authenticator).status_code == 200
    visitor.submit("/logout/")
    return visitor, authenticator


@many
@given(body=ANY_JSON)
def test_no_json_signs_in_or_breaks(visitor, body):
    browser, _authenticator = visitor
    refused(answer(browser, body))


@many
@given(path=MEMBERS, value=ANY_JSON | TEXT)
def test_no_change_of_an_assertion_signs_in_or_breaks(visitor, path, value):
    browser, authenticator = visitor
    right = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    wrong = changed(right, path, value)
    if path == ("response", "attestationObject") or wrong == right:
        return

    refused(answer(browser, wrong))

    assert not browser.who()["authenticated"]


@many
@given(
    member=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
    at=st.floats(0, 1),
    bit=st.integers(0, 7),
)
def test_no_flipped_bit_signs_in_or_breaks(visitor, member, at, bit):
    browser, authenticator = visitor
    right = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    raw = bytearray(base64.urlsafe_b64decode(right["response"][member] + "=="))
    raw[int(at * (len(raw) - 1))] ^= 1 << bit

    refused(answer(browser, changed(right, ("response", member), base64.urlsafe_b64encode(raw).decode())))

    assert not browser.who()["authenticated"]


@pytest.fixture
def member():
    """Somebody who has just signed in, and may add a first passkey."""
    member = Browser()
    member.sign_in()
    return member


@many
@given(path=MEMBERS, value=ANY_JSON | TEXT)
def test_no_change_of_a_registration_adds_a_passkey_or_breaks(member, path, value):
    right = Authenticator().create(asked_to_register(member), origin=ORIGIN)
    wrong = changed(right, path, value)
    if path[-1] in {"authenticatorData", "signature", "userHandle"} or wrong == right:
        return  # members of an assertion, or (the copy of the authenticator data) one that nobody reads

    refused(send(member, "/account/passkeys/register/", wrong))

    assert not Passkey.objects.exists()


@many
@given(at=st.floats(0, 1), bit=st.integers(0, 7))
def test_no_flipped_bit_of_an_attestation_breaks(member, at, bit):
    """Without a signature over it (attestation "none") some changes are other passkeys, and none is an error of ours."""
    Passkey.objects.all().delete()
    right = Authenticator().create(asked_to_register(member), origin=ORIGIN)
    raw = bytearray(base64.urlsafe_b64decode(right["response"]["attestationObject"] + "=="))
    raw[int(at * (len(raw) - 1))] ^= 1 << bit

    wrong = changed(right, ("response", "attestationObject"), base64.urlsafe_b64encode(raw).decode())

    assert send(member, "/account/passkeys/register/", wrong).status_code < 500
