"""The test vectors of Web Authentication Level 3, under py_webauthn and under our own verifier: see README.rst."""

import json
from pathlib import Path

import cbor2
import pytest
import webauthn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AttestationFormat

from passwordless_auth.exceptions import InvalidCredential
from passwordless_auth.methods import passkey

SECTION = json.loads((Path(__file__).parent / "webauthn-l3-vectors.json").read_text())
VECTORS = SECTION["vectors"]
EVERY_ALGORITHM = list(COSEAlgorithmIdentifier)

#: What py_webauthn 3.0.1 says to a registration when it trusts the section's root certificate; ``None``: it takes it.
REGISTRATION_BY_PY_WEBAUTHN = {
    "none.ES256": None,
    "packed-self.ES256": None,
    "none.ES256.crossOrigin": None,
    "none.ES256.topOrigin": None,
    "none.ES256.long-credential-id": None,
    "packed.ES256": None,
    "packed.ES384": 'Unsupported credential public key alg "-35"',
    "packed.ES512": None,
    "packed.RS256": None,
    "packed.EdDSA": None,
    "packed.Ed448": 'Unsupported credential public key alg "-53"',
    "tpm.ES256": 'Unrecognized TPM Manufacturer "id:00000000"',  # the section's TPM has no maker
    "android-key.ES256": r"x5c was empty \(Android Key\)",  # it wants the root in the chain
    "apple.ES256": None,
    "fido-u2f.ES256": "AAGUID .* was not expected 00000000",  # the section's U2F key has one
}
#: The same of an assertion.
ASSERTION_BY_PY_WEBAUTHN = dict.fromkeys(VECTORS) | {
    "packed.ES384": "Unrecognized EC2 signature alg -35",
    "packed.Ed448": "alg -53 and crv 7 is not supported",
}

#: What our own verifier says to a registration, with our default settings but for user verification, which only some
#: of the vectors have.
REGISTRATION_BY_US = {
    "none.ES256": None,
    "packed-self.ES256": None,
    "none.ES256.crossOrigin": "made in a frame",
    "none.ES256.topOrigin": "made in a frame",
    "none.ES256.long-credential-id": None,
    "packed.ES256": None,
    "packed.ES384": "could not be verified",
    "packed.ES512": "could not be verified",  # not offered by us
    "packed.RS256": None,
    "packed.EdDSA": None,
    "packed.Ed448": "could not be verified",
    "tpm.ES256": "could not be verified",
    "android-key.ES256": "could not be verified",
    "apple.ES256": "could not be verified",  # its root is not Apple's
    "fido-u2f.ES256": "could not be verified",
}
#: Of an assertion: the key is there, however it was registered.
ASSERTION_BY_US = dict.fromkeys(VECTORS) | {
    "none.ES256.crossOrigin": "made in a frame",
    "none.ES256.topOrigin": "made in a frame",
    "packed.ES384": "could not be verified",
    "packed.Ed448": "could not be verified",
}

every_vector = pytest.mark.parametrize("name", VECTORS)


def b64(text):
    return webauthn.helpers.bytes_to_base64url(bytes.fromhex(text))


def answer_to(name, ceremony):
    """The JSON form of what the section gives in hexadecimal."""
    members = {"registration": ("clientDataJSON", "attestationObject")}.get(
        ceremony, ("clientDataJSON", "authenticatorData", "signature")
    )
    credential_id = b64(VECTORS[name]["registration"]["credential_id"])
    return {
        "id": credential_id,
        "rawId": credential_id,
        "type": "public-key",
        "response": {member: b64(VECTORS[name][ceremony][member]) for member in members},
        "clientExtensionResults": {},
    }


def challenge_of(name, ceremony):
    return bytes.fromhex(VECTORS[name][ceremony]["challenge"])


def key_of(name):
    """The public key in the authenticator data (§6.5.1)."""
    attestation = cbor2.loads(bytes.fromhex(VECTORS[name]["registration"]["attestationObject"]))
    data = attestation["authData"]
    return data[55 + int.from_bytes(data[53:55], "big") :]


def refused_by_py_webauthn(why):
    return pytest.raises(WebAuthnException, match=why)


def refused_by_us(why):
    return pytest.raises(InvalidCredential, check=lambda error: why in error.reason)


def test_the_section_is_whole():
    assert list(VECTORS) == list(REGISTRATION_BY_PY_WEBAUTHN) == list(REGISTRATION_BY_US)
    assert len(VECTORS) == 15
    assert len(bytes.fromhex(VECTORS["none.ES256.long-credential-id"]["registration"]["credential_id"])) == 1023


# -- py_webauthn


def registered(name, **changed):
    root = x509.load_der_x509_certificate(bytes.fromhex(SECTION["attestation_ca_cert"])).public_bytes(Encoding.PEM)
    return webauthn.verify_registration_response(
        credential=answer_to(name, "registration"),
        expected_rp_id=SECTION["rp_id"],
        expected_origin=SECTION["origin"],
        supported_pub_key_algs=EVERY_ALGORITHM,
        pem_root_certs_bytes_by_fmt={kind: [root] for kind in AttestationFormat},
        **{"expected_challenge": challenge_of(name, "registration"), **changed},
    )


def asserted(name, **changed):
    return webauthn.verify_authentication_response(
        credential=answer_to(name, "authentication"),
        expected_rp_id=SECTION["rp_id"],
        expected_origin=SECTION["origin"],
        credential_current_sign_count=0,
        **{
            "expected_challenge": challenge_of(name, "authentication"),
            "credential_public_key": key_of(name),
            **changed,
        },
    )


@every_vector
def test_a_registration_under_py_webauthn(name):
    if refusal := REGISTRATION_BY_PY_WEBAUTHN[name]:
        with refused_by_py_webauthn(refusal):
            registered(name)
        return
    new = registered(name)
    assert new.credential_id.hex() == VECTORS[name]["registration"]["credential_id"]
    assert new.aaguid.replace("-", "") == VECTORS[name]["registration"]["aaguid"]
    assert new.credential_public_key == key_of(name)
    with refused_by_py_webauthn("challenge"):
        registered(name, expected_challenge=challenge_of(name, "authentication"))


@every_vector
def test_an_assertion_under_py_webauthn(name):
    if refusal := ASSERTION_BY_PY_WEBAUTHN[name]:
        with refused_by_py_webauthn(refusal):
            asserted(name)
        return
    assert asserted(name).new_sign_count == 0
    other = "none.ES256" if name != "none.ES256" else "packed.ES256"
    with refused_by_py_webauthn("signature"):
        asserted(name, credential_public_key=key_of(other))


# -- our own verifier


@pytest.fixture
def example_org(settings):
    settings.PASSWORDLESS_AUTH_PASSKEY_RP_ID = SECTION["rp_id"]
    settings.PASSWORDLESS_AUTH_PASSKEY_ORIGINS = [SECTION["origin"]]


def registered_by_us(name, ceremony="registration"):
    answer = passkey.read(answer_to(name, "registration"), ceremony="webauthn.create")
    return passkey.verify_registration(answer, challenge=challenge_of(name, ceremony), user_verification=False)


def asserted_by_us(name, ceremony="authentication"):
    answer = passkey.read(answer_to(name, "authentication"), ceremony="webauthn.get", user_verification=False)
    return passkey.verify_assertion(
        answer, challenge=challenge_of(name, ceremony), public_key=key_of(name), user_verification=False
    )


@every_vector
def test_a_registration_under_our_verifier(name, example_org):
    if refusal := REGISTRATION_BY_US[name]:
        with refused_by_us(refusal):
            registered_by_us(name)
        return
    new = registered_by_us(name)
    assert new.credential_id.hex() == VECTORS[name]["registration"]["credential_id"]
    assert new.public_key == key_of(name)
    with refused_by_us("could not be verified"):
        registered_by_us(name, "authentication")


@every_vector
def test_an_assertion_under_our_verifier(name, example_org):
    if refusal := ASSERTION_BY_US[name]:
        with refused_by_us(refusal):
            asserted_by_us(name)
        return
    assert asserted_by_us(name).sign_count == 0
    with refused_by_us("could not be verified"):
        asserted_by_us(name, "registration")


@pytest.mark.parametrize("name", ["none.ES256", "packed-self.ES256"])
def test_who_was_not_verified_is_refused_by_default(name, example_org):
    verified = bytes.fromhex(VECTORS[name]["authentication"]["authenticatorData"])[32] & 0b100
    assert not verified
    with refused_by_us("not verified"):
        passkey.read(answer_to(name, "authentication"), ceremony="webauthn.get")
