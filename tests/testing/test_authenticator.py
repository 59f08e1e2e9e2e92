"""The software authenticator, against py_webauthn's own verifier: what is right is taken, what is wrong is refused."""

import base64
import json
import secrets
from hashlib import sha256
from pathlib import Path

import pytest
import webauthn
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import CredentialDeviceType

from passwordless_auth.testing import authenticator as kit
from passwordless_auth.testing.authenticator import Authenticator, Refused
from passwordless_auth.testing.credential import ALGORITHMS
from passwordless_auth.testing.faults import FAULTS_OF_CREATE, FAULTS_OF_GET, NO_FAULT, Fault, lookalikes

ORIGIN = "https://example.org"
RP_ID = "example.org"
HANDLE = b"0123456789abcdef0123456789abcdef"
KNOWN = [int(number) for number in COSEAlgorithmIdentifier]
REAL = json.loads((Path(__file__).parents[1] / "contracts" / "webauthn-fixtures.json").read_text())
#: What the fixtures call the clients.
CLIENTS = {"native": "native", "swa": "simplewebauthn", "plid": "passwordless-id"}

#: What py_webauthn 3 leaves to its caller.
LEFT_TO_CALLER_OF_CREATE = {
    "from a frame",
    "from a frame of another site",
    "crossOrigin is a list",
    "an id of 1024 bytes",
}
LEFT_TO_CALLER_OF_GET = {
    "from a frame",
    "from a frame of another site",
    "crossOrigin is a list",
    "became eligible for backup",
    "handle of another user",
    "no user handle",
}


def b64(value):
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def unb64(text):
    return webauthn.base64url_to_bytes(text)


def creation(algorithms=KNOWN, **members):
    return {
        "rp": {"id": RP_ID, "name": "Example"},
        "user": {"id": b64(HANDLE), "name": "ada@example.com", "displayName": "Ada"},
        "challenge": b64(secrets.token_bytes(32)),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in algorithms],
        "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
        **members,
    }


def request(**members):
    return {"rpId": RP_ID, "challenge": b64(secrets.token_bytes(32)), "userVerification": "required", **members}


def registered(answer, options, **more):
    return webauthn.verify_registration_response(
        credential=answer,
        expected_challenge=unb64(options["challenge"]),
        expected_rp_id=RP_ID,
        expected_origin=[ORIGIN],
        **{"require_user_verification": True, "supported_pub_key_algs": KNOWN, **more},
    )


def signed_in(answer, options, registration, **more):
    return webauthn.verify_authentication_response(
        credential=answer,
        expected_challenge=unb64(options["challenge"]),
        expected_rp_id=RP_ID,
        expected_origin=[ORIGIN],
        credential_public_key=registration.credential_public_key,
        credential_current_sign_count=registration.sign_count,
        **{"require_user_verification": True, **more},
    )


def register(authenticator, fault=NO_FAULT, **more):
    options = creation()
    return registered(authenticator.create(options, origin=ORIGIN, fault=fault, **more), options)


def sign_in(authenticator, registration, fault=NO_FAULT, **more):
    options = request()
    return signed_in(authenticator.get(options, origin=ORIGIN, fault=fault, **more), options, registration)


def flags_of(answer):
    return kit.Flags(unb64(answer["response"]["authenticatorData"])[32])


# -- what is right


@pytest.mark.parametrize("attestation", ["none", "packed"])
@pytest.mark.parametrize("number", sorted(set(ALGORITHMS) - {-35}))
def test_each_algorithm_registers_and_signs_in(number, attestation):
    authenticator = Authenticator([number], attestation=attestation)
    options = creation(attestation="direct")
    answer = authenticator.create(options, origin=ORIGIN)
    registration = registered(answer, options)

    assert registration.fmt == attestation
    assert webauthn.helpers.decode_credential_public_key(registration.credential_public_key).alg == number
    assert registration.credential_public_key == authenticator.credentials[0].cose_key
    assert answer["response"]["publicKeyAlgorithm"] == number
    assert sign_in(authenticator, registration).new_sign_count == 2


def test_es384_is_for_sites_that_ask_for_it():
    answer = Authenticator([-35]).create(creation([-35]), origin=ORIGIN)

    assert answer["response"]["publicKeyAlgorithm"] == -35


def test_the_public_key_is_the_same_in_each_of_its_forms():
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    for number in (-7, -8, -257, -49):
        authenticator = Authenticator([number])
        answer = authenticator.create(creation(), origin=ORIGIN)
        key = authenticator.credentials[0].private_key.public_key()
        assert load_der_public_key(unb64(answer["response"]["publicKey"])) == key


@pytest.mark.parametrize(
    ("authenticator", "device_type", "backed_up"),
    [
        (Authenticator(), CredentialDeviceType.SINGLE_DEVICE, False),
        (Authenticator(synced=True), CredentialDeviceType.MULTI_DEVICE, True),
    ],
)
def test_it_tells_whether_a_passkey_is_synced(authenticator, device_type, backed_up):
    registration = register(authenticator)
    authentication = sign_in(authenticator, registration)

    for verified in (registration, authentication):
        assert verified.credential_device_type == device_type
        assert verified.credential_backed_up is backed_up


def test_a_provider_may_be_switched_on_later():
    authenticator = Authenticator(synced=True)
    authenticator.backed_up = False
    registration = register(authenticator)
    assert not registration.credential_backed_up

    authenticator.backed_up = True
    assert sign_in(authenticator, registration).credential_backed_up


def test_counters_count_per_passkey_or_not_at_all():
    counting, resting = Authenticator(), Authenticator(counter="zero")
    for authenticator, counts in ((counting, [1, 2, 3]), (resting, [0, 0, 0])):
        registration = register(authenticator)
        found = [registration.sign_count, *(sign_in(authenticator, registration).new_sign_count for _ in range(2))]
        assert found == counts
    assert Authenticator().create(creation(), origin=ORIGIN)
    counting.create(creation(rp={"id": RP_ID}, user={"id": b64(b"another")}), origin=ORIGIN)
    assert [credential.counter for credential in counting.credentials] == [3, 1]


def test_no_verification_when_it_is_discouraged_or_impossible():
    authenticator = Authenticator()
    options = creation(authenticatorSelection={"userVerification": "discouraged", "residentKey": "required"})
    assert kit.Flags.UV not in flags_of(authenticator.create(options, origin=ORIGIN))
    assert kit.Flags.UV not in flags_of(authenticator.get(request(userVerification="discouraged"), origin=ORIGIN))

    weak = Authenticator(user_verification=False)
    weak.add(rp_id=RP_ID, user_handle=HANDLE)
    assert kit.Flags.UV not in flags_of(weak.get(request(userVerification="preferred"), origin=ORIGIN))
    with pytest.raises(Refused, match="NotAllowedError"):
        weak.get(request(), origin=ORIGIN)
    with pytest.raises(Refused, match="NotAllowedError"):
        weak.create(creation(), origin=ORIGIN)


def test_nobody_is_asked_in_a_conditional_create():
    options = creation()
    answer = Authenticator().create(options, origin=ORIGIN, conditional=True)

    assert flags_of(answer) == kit.Flags.AT
    assert registered(answer, options, require_user_presence=False, require_user_verification=False)
    with pytest.raises(WebAuthnException):
        registered(answer, options, require_user_verification=False)


def test_frames_are_told_of():
    authenticator = Authenticator()
    plain = json.loads(unb64(authenticator.create(creation(), origin=ORIGIN)["response"]["clientDataJSON"]))
    assert plain["crossOrigin"] is False
    assert "topOrigin" not in plain
    for answer in (
        authenticator.create(creation(), origin=ORIGIN, top_origin="https://portal.example"),
        authenticator.get(request(), origin=ORIGIN, top_origin="https://portal.example"),
    ):
        framed = json.loads(unb64(answer["response"]["clientDataJSON"]))
        assert framed["crossOrigin"] is True
        assert framed["topOrigin"] == "https://portal.example"
    same = authenticator.get(request(), origin=ORIGIN, cross_origin=True)
    assert json.loads(unb64(same["response"]["clientDataJSON"]))["crossOrigin"] is True


def test_attestation_is_given_to_who_asks():
    authenticator = Authenticator(attestation="packed")
    asked, not_asked = creation(attestation="direct"), creation()

    assert registered(authenticator.create(asked, origin=ORIGIN), asked).fmt == "packed"
    assert registered(authenticator.create(not_asked, origin=ORIGIN), not_asked).fmt == "none"


def test_a_security_key_is_anonymous_unless_attestation_is_asked_for():
    key = Authenticator(transports=["usb", "nfc"], aaguid=bytes(range(16)))
    asked, not_asked = creation(attestation="direct"), creation()

    assert registered(key.create(asked, origin=ORIGIN), asked).aaguid == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert registered(key.create(not_asked, origin=ORIGIN), not_asked).aaguid == "00000000-0000-0000-0000-000000000000"
    assert register(Authenticator()).aaguid == "70617373-776f-7264-6c65-737374657374"


# -- what a browser and an authenticator refuse, or choose


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("https://example.org", "example.org"),
        ("https://login.example.org", "example.org"),
        ("https://example.org:8443", "example.org"),
        ("http://localhost:8000", "localhost"),
        ("http://shop.localhost:8000", "localhost"),
    ],
)
def test_an_origin_may_use_its_own_name_and_its_parents(origin, rp_id):
    answer = Authenticator().create(creation(rp={"id": rp_id}), origin=origin)

    assert unb64(answer["response"]["authenticatorData"])[:32] == sha256(rp_id.encode()).digest()


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("https://example.org", "login.example.org"),
        ("https://example.org", "example.com"),
        ("https://badexample.org", "example.org"),
        ("http://example.org", "example.org"),
        ("http://127.0.0.1:8000", "127.0.0.1"),
    ],
)
def test_an_origin_may_not_use_another_name(origin, rp_id):
    authenticator = Authenticator()
    authenticator.add(rp_id=rp_id, user_handle=HANDLE)
    with pytest.raises(Refused, match="SecurityError"):
        authenticator.create(creation(rp={"id": rp_id}), origin=origin)
    with pytest.raises(Refused, match="SecurityError") as refused:
        authenticator.get(request(rpId=rp_id), origin=origin)
    assert refused.value.name == "SecurityError"


def test_a_related_origin_may():
    shop = "https://shop.example"
    authenticator = Authenticator()
    authenticator.create(creation(), origin=shop, related_origins=[shop])

    assert authenticator.get(request(), origin=shop, related_origins=[shop])
    with pytest.raises(Refused, match="SecurityError"):
        authenticator.get(request(), origin=shop)


def test_the_rp_id_is_the_host_when_none_is_named():
    authenticator = Authenticator()
    authenticator.create(creation(rp={"name": "Example"}), origin=ORIGIN)

    assert authenticator.credentials[0].rp_id == RP_ID
    assert authenticator.get({"challenge": b64(b"c" * 32)}, origin=ORIGIN)


def test_an_authenticator_registers_once():
    authenticator = Authenticator()
    known = authenticator.create(creation(), origin=ORIGIN)["id"]
    excluding = creation(excludeCredentials=[{"type": "public-key", "id": known}])

    with pytest.raises(Refused, match="InvalidStateError"):
        authenticator.create(excluding, origin=ORIGIN)
    assert Authenticator().create(excluding, origin=ORIGIN)


def test_the_site_says_which_algorithm_it_likes_best():
    authenticator = Authenticator([-7, -8])

    assert authenticator.create(creation([-257, -8, -7]), origin=ORIGIN)["response"]["publicKeyAlgorithm"] == -8
    with pytest.raises(Refused, match="NotSupportedError"):
        authenticator.create(creation([-257]), origin=ORIGIN)


def test_a_platform_authenticator_is_not_a_security_key():
    security_key = creation(authenticatorSelection={"authenticatorAttachment": "cross-platform"})

    with pytest.raises(Refused, match="NotAllowedError"):
        Authenticator().create(security_key, origin=ORIGIN)
    assert Authenticator(transports=["usb"]).create(security_key, origin=ORIGIN)


def test_whether_a_passkey_is_stored_is_what_the_site_wishes():
    def selecting(**selection):
        authenticator = Authenticator()
        options = creation(authenticatorSelection=selection, extensions={"credProps": True})
        answer = authenticator.create(options, origin=ORIGIN)
        stored = authenticator.credentials[0].discoverable
        assert answer["clientExtensionResults"] == {"credProps": {"rk": stored}}
        return stored

    assert selecting(residentKey="required")
    assert selecting(residentKey="preferred")
    assert selecting(requireResidentKey=True)
    assert not selecting(residentKey="discouraged")
    assert not selecting()


def test_an_authenticator_that_stores_nothing():
    old = Authenticator(discoverable=False)

    with pytest.raises(Refused, match="ConstraintError"):
        old.create(creation(), origin=ORIGIN)
    known = old.create(creation(authenticatorSelection={"residentKey": "preferred"}), origin=ORIGIN)["id"]
    with pytest.raises(Refused, match="NotAllowedError"):
        old.get(request(), origin=ORIGIN)
    answer = old.get(request(allowCredentials=[{"type": "public-key", "id": known}]), origin=ORIGIN)
    assert "userHandle" not in answer["response"]


def test_the_newest_passkey_of_the_site_is_taken_or_the_one_that_is_named():
    authenticator = Authenticator()
    elsewhere = authenticator.add(rp_id="example.com", user_handle=HANDLE)
    first = authenticator.add(rp_id=RP_ID, user_handle=b"first")
    second = authenticator.add(rp_id=RP_ID, user_handle=b"second")
    named = [{"type": "public-key", "id": b64(first.id)}]

    assert authenticator.get(request(), origin=ORIGIN)["rawId"] == b64(second.id)
    assert authenticator.get(request(), origin=ORIGIN, credential_id=first.id)["rawId"] == b64(first.id)
    assert authenticator.get(request(allowCredentials=named), origin=ORIGIN)["rawId"] == b64(first.id)
    for refused in (second, elsewhere):
        with pytest.raises(Refused, match="NotAllowedError"):
            authenticator.get(request(allowCredentials=named), origin=ORIGIN, credential_id=refused.id)


def test_a_newer_passkey_of_the_same_account_takes_the_place_of_the_older_one():
    authenticator = Authenticator()
    authenticator.create(creation(), origin=ORIGIN)
    answer = authenticator.create(creation(), origin=ORIGIN)

    assert [b64(credential.id) for credential in authenticator.credentials] == [answer["id"]]


# -- what is wrong


@pytest.mark.parametrize("name", FAULTS_OF_CREATE)
def test_one_fault_in_a_registration(name):
    assert register(Authenticator())

    fault = FAULTS_OF_CREATE[name]
    if name in LEFT_TO_CALLER_OF_CREATE:
        assert register(Authenticator(), fault)
    else:
        with pytest.raises(WebAuthnException):
            register(Authenticator(), fault)


@pytest.mark.parametrize("name", FAULTS_OF_GET)
def test_one_fault_in_an_assertion(name):
    authenticator = Authenticator()
    registration = register(authenticator)

    fault = FAULTS_OF_GET[name]
    if name in LEFT_TO_CALLER_OF_GET:
        assert sign_in(authenticator, registration, fault)
    else:
        with pytest.raises(WebAuthnException):
            sign_in(authenticator, registration, fault)
    assert signed_in_again(authenticator, registration)


def signed_in_again(authenticator, registration):
    """An authenticator is none the worse for what it was made to say."""
    authenticator.credentials[0].counter += 1
    return sign_in(authenticator, registration)


@pytest.mark.parametrize("origin", lookalikes(ORIGIN))
def test_an_origin_that_only_looks_like_it(origin):
    fault = Fault(client_data={"origin": origin})
    authenticator = Authenticator()
    registration = register(authenticator)

    assert len(set(lookalikes(ORIGIN))) == 11
    with pytest.raises(WebAuthnException, match="origin"):
        register(Authenticator(), fault)
    with pytest.raises(WebAuthnException, match="origin"):
        sign_in(authenticator, registration, fault)


def test_a_fault_is_alone():
    """The signature is over what is said, right or wrong: a verifier that forgets the one check takes it."""
    authenticator = Authenticator()
    registration = register(authenticator)
    options = request()
    answer = authenticator.get(
        options, origin=ORIGIN, fault=Fault(client_data={"origin": "https://evil.example"}, rp_id="evil.example")
    )

    assert webauthn.verify_authentication_response(
        credential=answer,
        expected_challenge=unb64(options["challenge"]),
        expected_rp_id="evil.example",
        expected_origin="https://evil.example",
        credential_public_key=registration.credential_public_key,
        credential_current_sign_count=0,
    )


def test_an_attestation_with_a_bad_signature():
    options = creation(attestation="direct")
    authenticator = Authenticator(attestation="packed")

    assert registered(authenticator.create(options, origin=ORIGIN), options)
    for kind in ("flipped", "other_key", "other_data", "empty"):
        with pytest.raises(WebAuthnException):
            registered(authenticator.create(options, origin=ORIGIN, fault=Fault(signature=kind)), options)


def test_a_counter_that_jumps_and_one_that_is_gone():
    authenticator = Authenticator()
    registration = register(authenticator)

    assert sign_in(authenticator, registration, Fault(counter_by=1000)).new_sign_count == 1001
    with pytest.raises(WebAuthnException, match="sign count of 0"):
        sign_in(authenticator, registration, Fault(counter_by=-2000))


def test_extensions_of_the_authenticator():
    authenticator = Authenticator()
    options = creation()
    answer = authenticator.create(options, origin=ORIGIN, fault=Fault(extensions={"credProtect": 2}))

    assert kit.Flags.ED in flags_of(answer)
    assert registered(answer, options)


def test_the_longest_id_and_one_that_two_authenticators_claim():
    options = creation()
    longest = Authenticator().create(options, origin=ORIGIN, fault=Fault(credential_id=b"x" * 1023))

    assert registered(longest, options).credential_id == b"x" * 1023
    first, second = Authenticator(), Authenticator()
    mine = register(first, Fault(credential_id=b"same"))
    theirs = register(second, Fault(credential_id=b"same"))
    assert mine.credential_id == theirs.credential_id
    assert mine.credential_public_key != theirs.credential_public_key


def test_a_credential_that_was_not_asked_for():
    authenticator = Authenticator()
    registration = register(authenticator)
    elsewhere = request(allowCredentials=[{"type": "public-key", "id": b64(b"another")}])

    with pytest.raises(Refused):
        authenticator.get(elsewhere, origin=ORIGIN)
    answer = authenticator.get(elsewhere, origin=ORIGIN, fault=Fault(ignores_allow_credentials=True))
    assert signed_in(answer, elsewhere, registration)


def test_py_webauthn_takes_what_follows_an_attestation_object():
    assert register(Authenticator(), Fault(trailing_attestation=b"\0"))


# -- how clients write it


def shape(value):
    """Names and kinds of members, and which texts are padded."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [type(member).__name__ for member in value]
    return type(value).__name__


def padded(answer):
    found = {**answer, **answer["response"]}
    return {name for name, value in found.items() if isinstance(value, str) and value.endswith("=")}


def of_the_kind(real):
    """An authenticator like the one in the fixtures, and the options that it was asked with, for its own answer."""
    built_in = real["authenticator"] in {"synced", "device-bound"}
    return Authenticator(
        aaguid=bytes.fromhex("01020304050607080102030405060708"),
        synced=real["authenticator"] == "synced",
        user_verification=built_in,
        transports=["internal"] if built_in else ["usb"],
    )


@pytest.mark.parametrize("real", REAL, ids=lambda real: f"{real['client']}-{real['authenticator']}")
def test_it_writes_what_the_real_client_wrote(real):
    authenticator, client = of_the_kind(real), CLIENTS[real["client"]]
    # The lengths decide which texts need padding; the user handle's is the real one.
    ours = authenticator.create(
        real["regOptions"],
        origin=real["origin"],
        client=client,
        fault=Fault(attestation_object=unb64(real["registration"]["response"]["attestationObject"])),
    )
    theirs = real["registration"]

    assert shape(ours) == shape(theirs)
    assert padded(ours) - {"clientDataJSON"} == padded(theirs) - {"clientDataJSON"}
    assert ours.get("user") == theirs.get("user")
    for member in ("authenticatorAttachment", "type", "clientExtensionResults"):
        assert ours[member] == theirs[member]
    for member in ("transports", "publicKeyAlgorithm"):
        assert ours["response"][member] == theirs["response"][member]
    assert flags_of(ours) == flags_of(theirs)
    assert set(client_data(theirs)) >= set(client_data(ours))

    options = real["authOptions"]
    if options["allowCredentials"]:
        options = {**options, "allowCredentials": [{"type": "public-key", "id": ours["id"]}]}
    ours, theirs = authenticator.get(options, origin=real["origin"], client=client), real["authentication"]
    assert shape(ours) == shape(theirs)
    assert padded(ours) - {"clientDataJSON", "signature"} == padded(theirs) - {"clientDataJSON", "signature"}
    assert ours["authenticatorAttachment"] == theirs["authenticatorAttachment"]
    assert ours["response"].get("userHandle") == theirs["response"].get("userHandle")
    assert flags_of(ours) == flags_of(theirs)
    assert set(client_data(theirs)) >= set(client_data(ours))


def client_data(answer):
    return json.loads(unb64(answer["response"]["clientDataJSON"]))


def test_the_real_ones_are_twelve():
    assert len(REAL) == 12
    assert {real["client"] for real in REAL} == set(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS.values())
def test_each_form_verifies(client):
    authenticator = Authenticator()

    assert sign_in(authenticator, register(authenticator, client=client), client=client)
