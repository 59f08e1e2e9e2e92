"""What broken and hostile WebAuthn clients do, by name: what ``Authenticator`` is asked for as ``fault=``."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal


@dataclass(frozen=True)
class Fault:
    """One thing that a broken or hostile client does. What is left out stays as it should be."""

    #: Members of the client data that take the place of the right ones: ``type``, ``challenge``, ``origin``, …
    client_data: Mapping[str, Any] = field(default_factory=dict)
    #: All of the client data, as bytes.
    client_data_json: bytes | None = None
    #: The RP ID whose hash is in the authenticator data.
    rp_id: str | None = None
    #: The flags UP, UV, BE, BS, AT.
    user_present: bool | None = None
    user_verified: bool | None = None
    backup_eligible: bool | None = None
    backed_up: bool | None = None
    attested: bool | None = None
    #: Outputs of authenticator extensions; sets the flag ED.
    extensions: Mapping[str, Any] | None = None
    #: What the counter changes by, in place of 1: 0 stands still, -1 goes back.
    counter_by: int | None = None
    #: The algorithm of a new credential, whatever was offered.
    algorithm: int | None = None
    #: ``flipped``: one bit is another one. ``other_key``: another key signs. ``other_data``: the key signs something
    #: else. ``empty``: there is none.
    signature: Literal["flipped", "other_key", "other_data", "empty"] | None = None
    #: The id of a new credential, in place of a random one.
    credential_id: bytes | None = None
    #: ``rawId``, which then isn't what ``id`` says.
    raw_id: bytes | None = None
    #: The user handle of an assertion; ``b""`` leaves it out.
    user_handle: bytes | None = None
    #: Sign with a credential of this RP ID that the options don't allow.
    ignores_allow_credentials: bool = False
    #: Bytes after the end of the authenticator data, and of the attestation object.
    trailing: bytes = b""
    trailing_attestation: bytes = b""
    #: All of the authenticator data, or of the attestation object.
    authenticator_data: bytes | None = None
    attestation_object: bytes | None = None
    #: Members of the answer by dotted path, such as ``response.signature``, and their values.
    members: Mapping[str, Any] = field(default_factory=dict)
    #: Members of the answer that are missing.
    without: Collection[str] = ()


NO_FAULT: Final = Fault()

_OTHER_CHALLENGE: Final = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()

_NESTED: Final = 10_000

_FAULTS_OF_BOTH: Final[Mapping[str, Fault]] = {
    "another origin": Fault(client_data={"origin": "https://evil.example"}),
    "no origin": Fault(client_data={"origin": "null"}),
    "another challenge": Fault(client_data={"challenge": _OTHER_CHALLENGE}),
    "empty challenge": Fault(client_data={"challenge": ""}),
    "from a frame": Fault(client_data={"crossOrigin": True}),
    "from a frame of another site": Fault(client_data={"crossOrigin": True, "topOrigin": "https://evil.example"}),
    "hash of another RP ID": Fault(rp_id="evil.example"),
    "nobody present": Fault(user_present=False),
    "nobody verified": Fault(user_verified=False),
    "backed up but not eligible": Fault(backup_eligible=False, backed_up=True),
    "id is not rawId": Fault(raw_id=b"another"),
    "bytes after the authenticator data": Fault(trailing=b"\0"),
    "client data is not JSON": Fault(client_data_json=b"garbage"),
    "client data is a list": Fault(client_data_json=b"[]"),
    "client data is not UTF-8": Fault(client_data_json=b"\xff\xfe\xfd"),
    "client data is nested deeply": Fault(client_data_json=b"[" * _NESTED),
    "challenge is a number": Fault(client_data={"challenge": 1}),
    "origin is a list": Fault(client_data={"origin": ["https://evil.example"]}),
    "crossOrigin is a list": Fault(client_data={"crossOrigin": [True]}),
    "another type of credential": Fault(members={"type": "password"}),
    "id is a number": Fault(members={"id": 1}),
    "response is a list": Fault(members={"response": []}),
    "no client data": Fault(without=["response.clientDataJSON"]),
    "no id": Fault(without=["id"]),
}

#: What every relying party must refuse in a registration, by name.
FAULTS_OF_CREATE: Final[Mapping[str, Fault]] = {
    **_FAULTS_OF_BOTH,
    "type of an assertion": Fault(client_data={"type": "webauthn.get"}),
    "no credential in it": Fault(attested=False),
    "an algorithm that was not offered": Fault(algorithm=-35),
    "attestation object is not CBOR": Fault(attestation_object=b"\xff garbage"),
    "attestation object is a number": Fault(attestation_object=b"\x01"),
    "attestation object is nested deeply": Fault(attestation_object=b"\x81" * _NESTED),
    "an id of 1024 bytes": Fault(credential_id=bytes(1024)),
    "an empty id": Fault(credential_id=b""),
    "attestation object is not base64url": Fault(members={"response.attestationObject": "%%%"}),
    "no attestation object": Fault(without=["response.attestationObject"]),
}

#: What every relying party must refuse in an assertion, by name; of an authenticator that counts and doesn't sync, as
#: ``Authenticator()`` is. ``no user handle`` is in order where the options named the credentials.
FAULTS_OF_GET: Final[Mapping[str, Fault]] = {
    **_FAULTS_OF_BOTH,
    "type of a registration": Fault(client_data={"type": "webauthn.create"}),
    "became eligible for backup": Fault(backup_eligible=True),
    "flipped signature": Fault(signature="flipped"),
    "signature by another key": Fault(signature="other_key"),
    "signature over other data": Fault(signature="other_data"),
    "empty signature": Fault(signature="empty"),
    "counter stands still": Fault(counter_by=0),
    "counter goes back": Fault(counter_by=-1),
    "handle of another user": Fault(user_handle=b"another"),
    "no user handle": Fault(user_handle=b""),
    "authenticator data is garbage": Fault(authenticator_data=b"garbage"),
    "signature is not base64url": Fault(members={"response.signature": "%%%"}),
    "user handle is a number": Fault(members={"response.userHandle": 1}),
    "no authenticator data": Fault(without=["response.authenticatorData"]),
    "no signature": Fault(without=["response.signature"]),
}


def lookalikes(origin: str) -> list[str]:
    """Origins that are not this one, though a careless comparison takes them for it."""
    scheme, _, host = origin.partition("://")
    name, _, port = host.partition(":")
    return [
        f"{origin}.evil.example",
        f"{scheme}://evil-{host}",
        f"{scheme}://login.{host}",
        f"{scheme}://evil.example/{origin}",
        f"{'http' if scheme == 'https' else 'https'}://{host}",
        f"{scheme}://{name}:{int(port or 443) + 1}",
        f"{origin}/",
        f"{origin}@evil.example",
        f"{scheme}://{host.upper()}",
        "null",
        "",
    ]
