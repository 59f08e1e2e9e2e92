"""A WebAuthn authenticator in software, with the browser in front of it: passkeys for tests without a browser.

It takes the JSON of ``PublicKeyCredential.parseCreationOptionsFromJSON()`` and gives what ``toJSON()`` gives
(WebAuthn Level 3 §5.1.7 and §5.1.8)::

    authenticator = Authenticator()
    answer = authenticator.create(options, origin="https://example.com")

It does what a good browser and a good authenticator do, and refuses what they refuse (:class:`Refused`). What bad ones
send is asked for by name: a :class:`.faults.Fault` makes one thing wrong and keeps all others right, the signature
included, so that a test sees the one check that it is about.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from enum import IntFlag
from hashlib import sha256
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import cbor2

from .credential import ALGORITHMS, Credential
from .faults import NO_FAULT, Fault

#: How the answer is written: as the browser's own ``toJSON()``, as @simplewebauthn/browser does (the same members), or
#: as @passwordless-id/webauthn 2 does (padded base64url, and a member ``user`` of its own).
Client = Literal["native", "simplewebauthn", "passwordless-id"]

#: An AAGUID that no product has.
AAGUID: Final = bytes.fromhex("70617373776f72646c65737374657374")


class Refused(Exception):
    """The browser or the authenticator would not do it. ``name`` is what a script sees as ``error.name``:
    ``SecurityError`` (this origin may not use this RP ID), ``NotSupportedError`` (no common algorithm),
    ``InvalidStateError`` (already registered), ``ConstraintError`` (can't do what is required), ``NotAllowedError``
    (no fitting passkey)."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(f"{name}: {message}")


class Flags(IntFlag):
    """The flags of authenticator data (§6.1)."""

    UP = 1
    UV = 1 << 2
    BE = 1 << 3
    BS = 1 << 4
    AT = 1 << 6
    ED = 1 << 7


class Authenticator:
    """A phone, a computer or a security key, and the browser that asks it.

    ``algorithms``: the COSE numbers that it can do. ``synced``: its passkeys are backed up by a provider (BE and BS);
    ``backed_up`` may be changed later, as when the provider is switched on. ``user_verification``: it has a PIN or a
    finger to check. ``counter``: ``increment`` per credential, or ``zero`` as most phones do. ``transports``:
    ``internal`` makes it a platform authenticator. ``attestation``: ``packed`` signs with the new key itself, when the
    site asks for attestation. ``discoverable``: it can store passkeys at all.
    """

    def __init__(
        self,
        algorithms: Sequence[int] = (-7,),
        *,
        aaguid: bytes = AAGUID,
        synced: bool = False,
        user_verification: bool = True,
        counter: Literal["increment", "zero"] = "increment",
        transports: Sequence[str] = ("internal",),
        attestation: Literal["none", "packed"] = "none",
        discoverable: bool = True,
    ) -> None:
        self.algorithms = tuple(algorithms)
        self.aaguid = aaguid
        self.synced = synced
        self.backed_up = synced
        self.user_verification = user_verification
        self.counter = counter
        self.transports = tuple(transports)
        self.attestation = attestation
        self.discoverable = discoverable
        #: What is stored, oldest first.
        self.credentials: list[Credential] = []

    @property
    def attachment(self) -> str:
        return "platform" if "internal" in self.transports else "cross-platform"

    def add(
        self,
        *,
        rp_id: str,
        user_handle: bytes,
        algorithm: int | None = None,
        credential_id: bytes | None = None,
        discoverable: bool = True,
    ) -> Credential:
        """Store a new passkey without a ceremony, for a site whose row of it the test makes itself."""
        number = self.algorithms[0] if algorithm is None else algorithm
        credential = Credential(
            id=secrets.token_bytes(32) if credential_id is None else credential_id,
            rp_id=rp_id,
            user_handle=user_handle,
            algorithm=number,
            private_key=ALGORITHMS[number].generate(),
            discoverable=discoverable,
        )
        if discoverable:
            # §6.3.2 step 7: the newer passkey of an account takes the place of the older one.
            self.credentials = [
                kept
                for kept in self.credentials
                if not (kept.discoverable and (kept.rp_id, kept.user_handle) == (rp_id, user_handle))
            ]
        self.credentials.append(credential)
        return credential

    def create(
        self,
        options: Mapping[str, Any],
        *,
        origin: str,
        client: Client = "native",
        conditional: bool = False,
        cross_origin: bool = False,
        top_origin: str | None = None,
        related_origins: Collection[str] = (),
        fault: Fault = NO_FAULT,
    ) -> dict[str, Any]:
        """Register: ``PublicKeyCredentialCreationOptionsJSON`` in, ``RegistrationResponseJSON`` out (§5.1.3).

        ``conditional``: nobody is asked, as in an automatic upgrade from a password (no UP, no UV).
        ``related_origins``: what the RP ID's ``/.well-known/webauthn`` lists. Raises :class:`Refused`.
        """
        rp_id = _allowed_rp_id(options.get("rp", {}).get("id"), origin, related_origins)
        self._refuse_known(options.get("excludeCredentials") or (), rp_id)
        selection = options.get("authenticatorSelection") or {}
        self._refuse_attachment(selection)
        credential = self.add(
            rp_id=rp_id,
            user_handle=_decoded(options["user"]["id"]),
            algorithm=self._common_algorithm(options) if fault.algorithm is None else fault.algorithm,
            credential_id=fault.credential_id,
            discoverable=self._will_be_discoverable(selection),
        )
        verified = self._verifies(selection.get("userVerification"), fault)
        client_data = _client_data("webauthn.create", options, origin, cross_origin, top_origin, fault)
        flags = Flags.AT if conditional else Flags.UP | Flags.AT | (Flags.UV if verified else Flags(0))
        wants_attestation = options.get("attestation", "none") != "none"
        authenticator_data = self._authenticator_data(
            credential, flags, fault, anonymous=not wants_attestation and self.attachment != "platform"
        )
        statement: dict[str, Any] = {}
        if wants_attestation and self.attestation == "packed":
            signature = self._signature(credential, authenticator_data, client_data, fault)
            statement = {"alg": credential.algorithm, "sig": signature}
        attestation = cbor2.dumps(
            {"fmt": "packed" if statement else "none", "attStmt": statement, "authData": authenticator_data}
        )
        if fault.attestation_object is not None:
            attestation = fault.attestation_object
        written = _Writer(client)
        answer = written.credential(credential, self.attachment, fault)
        if (options.get("extensions") or {}).get("credProps"):
            answer["clientExtensionResults"] = {"credProps": {"rk": credential.discoverable}}
        answer["response"] = {
            "attestationObject": written.bytes(attestation + fault.trailing_attestation),
            "authenticatorData": written.bytes(authenticator_data),
            "clientDataJSON": written.bytes(client_data),
            "publicKey": written.bytes(credential.spki),
            "publicKeyAlgorithm": credential.algorithm,
            "transports": list(self.transports),
        }
        if client == "passwordless-id":
            answer["user"] = {**options["user"], "id": credential.user_handle.decode("latin-1")}
        return _broken(answer, fault)

    def get(
        self,
        options: Mapping[str, Any],
        *,
        origin: str,
        client: Client = "native",
        credential_id: bytes | None = None,
        cross_origin: bool = False,
        top_origin: str | None = None,
        related_origins: Collection[str] = (),
        fault: Fault = NO_FAULT,
    ) -> dict[str, Any]:
        """Sign in: ``PublicKeyCredentialRequestOptionsJSON`` in, ``AuthenticationResponseJSON`` out (§5.1.4).

        Takes the newest passkey that the options allow, or the one that ``credential_id`` names. Raises
        :class:`Refused`.
        """
        rp_id = _allowed_rp_id(options.get("rpId"), origin, related_origins)
        credential = self._pick(options, rp_id, credential_id, fault)
        flags = Flags.UP | (Flags.UV if self._verifies(options.get("userVerification"), fault) else Flags(0))
        client_data = _client_data("webauthn.get", options, origin, cross_origin, top_origin, fault)
        authenticator_data = self._authenticator_data(credential, flags, fault)
        written = _Writer(client)
        answer = written.credential(credential, self.attachment, fault)
        answer["response"] = {
            "authenticatorData": written.bytes(authenticator_data),
            "clientDataJSON": written.bytes(client_data),
            "signature": written.bytes(self._signature(credential, authenticator_data, client_data, fault)),
        }
        handle = credential.user_handle if credential.discoverable else b""
        handle = handle if fault.user_handle is None else fault.user_handle
        if handle:
            answer["response"]["userHandle"] = written.bytes(handle)
        return _broken(answer, fault)

    # -- what is agreed before anything is made

    def _refuse_known(self, excluded: Collection[Mapping[str, Any]], rp_id: str) -> None:
        named = {_decoded(descriptor["id"]) for descriptor in excluded}
        if any(credential.rp_id == rp_id and credential.id in named for credential in self.credentials):
            raise Refused("InvalidStateError", "This authenticator is registered already.")

    def _refuse_attachment(self, selection: Mapping[str, Any]) -> None:
        if selection.get("authenticatorAttachment", self.attachment) != self.attachment:
            raise Refused("NotAllowedError", "Another kind of authenticator is asked for.")

    def _common_algorithm(self, options: Mapping[str, Any]) -> int:
        """The first one of the site's list that this authenticator can do (§6.3.2 step 2)."""
        for offered in options["pubKeyCredParams"]:
            if offered["type"] == "public-key" and offered["alg"] in self.algorithms:
                number: int = offered["alg"]
                return number
        raise Refused("NotSupportedError", "No algorithm in common.")

    def _will_be_discoverable(self, selection: Mapping[str, Any]) -> bool:
        legacy = "required" if selection.get("requireResidentKey") else "discouraged"
        wish = selection.get("residentKey", legacy)
        if wish == "required" and not self.discoverable:
            raise Refused("ConstraintError", "This authenticator can't store passkeys.")
        return self.discoverable and wish != "discouraged"

    def _verifies(self, wish: str | None, fault: Fault) -> bool:
        if wish == "required" and not self.user_verification and fault.user_verified is None:
            raise Refused("NotAllowedError", "This authenticator can't verify its user.")
        return self.user_verification and wish != "discouraged"

    def _pick(self, options: Mapping[str, Any], rp_id: str, credential_id: bytes | None, fault: Fault) -> Credential:
        allowed = {_decoded(descriptor["id"]) for descriptor in options.get("allowCredentials") or ()}
        for credential in reversed(self.credentials):
            if credential.rp_id != rp_id or credential_id not in (None, credential.id):
                continue
            if fault.ignores_allow_credentials or (credential.id in allowed if allowed else credential.discoverable):
                return credential
        raise Refused("NotAllowedError", "No passkey that these options allow.")

    # -- what is made

    def _authenticator_data(
        self, credential: Credential, flags: Flags, fault: Fault, *, anonymous: bool = False
    ) -> bytes:
        """§6.1. ``anonymous``: without the AAGUID, as browsers do for security keys when no attestation is asked."""
        if self.counter == "increment" or fault.counter_by is not None:
            credential.counter = max(0, credential.counter + (1 if fault.counter_by is None else fault.counter_by))
        flags = _with(flags, Flags.BE, on=self.synced)
        flags = _with(flags, Flags.BS, on=self.backed_up)
        flags = _with(flags, Flags.UP, on=fault.user_present)
        flags = _with(flags, Flags.UV, on=fault.user_verified)
        flags = _with(flags, Flags.BE, on=fault.backup_eligible)
        flags = _with(flags, Flags.BS, on=fault.backed_up)
        flags = _with(flags, Flags.AT, on=fault.attested)
        flags = _with(flags, Flags.ED, on=fault.extensions is not None)
        rp_id = credential.rp_id if fault.rp_id is None else fault.rp_id
        data = sha256(rp_id.encode()).digest() + bytes([flags]) + credential.counter.to_bytes(4, "big")
        if Flags.AT in flags:
            data += bytes(16) if anonymous else self.aaguid
            data += len(credential.id).to_bytes(2, "big") + credential.id + credential.cose_key
        if fault.extensions is not None:
            data += cbor2.dumps(dict(fault.extensions))
        return data + fault.trailing if fault.authenticator_data is None else fault.authenticator_data

    def _signature(self, credential: Credential, authenticator_data: bytes, client_data: bytes, fault: Fault) -> bytes:
        """§6.3.3 step 11; for self attestation §8.2."""
        data = authenticator_data + sha256(client_data).digest()
        if fault.signature == "empty":
            return b""
        if fault.signature == "other_data":
            return credential.sign(data + b"\0")
        if fault.signature == "other_key":
            algorithm = ALGORITHMS[credential.algorithm]
            return algorithm.sign(algorithm.generate(), data)
        signature = credential.sign(data)
        if fault.signature == "flipped":
            return signature[:-1] + bytes([signature[-1] ^ 1])
        return signature


def _with(flags: Flags, flag: Flags, *, on: bool | None) -> Flags:
    if on is None:
        return flags
    return flags | flag if on else flags & ~flag


# -- the browser


def _allowed_rp_id(rp_id: str | None, origin: str, related_origins: Collection[str]) -> str:
    """§5.1.3 steps 7 and 8. Without the list of public suffixes: a test that needs ``com`` refused needs a browser."""
    address = urlsplit(origin)
    host = address.hostname or ""
    local = host == "localhost" or host.endswith(".localhost")
    if address.scheme != "https" and not (address.scheme == "http" and local):
        raise Refused("SecurityError", f"{origin} is not a secure context.")
    rp_id = rp_id or host
    if host != rp_id and not host.endswith(f".{rp_id}") and origin not in related_origins:
        raise Refused("SecurityError", f"{origin} may not use the RP ID {rp_id}.")
    return rp_id


def _client_data(
    kind: str, options: Mapping[str, Any], origin: str, cross_origin: bool, top_origin: str | None, fault: Fault
) -> bytes:
    """§5.8.1, in the order of §5.8.1.1."""
    if fault.client_data_json is not None:
        return fault.client_data_json
    members = {
        "type": kind,
        "challenge": options["challenge"].rstrip("="),
        "origin": origin,
        "crossOrigin": cross_origin or top_origin is not None,
        **({} if top_origin is None else {"topOrigin": top_origin}),
        **fault.client_data,
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


class _Writer:
    """Bytes and credentials as one client library writes them."""

    def __init__(self, client: Client) -> None:
        self.padded = client == "passwordless-id"

    def bytes(self, value: bytes) -> str:
        text = base64.urlsafe_b64encode(value).decode()
        return text if self.padded else text.rstrip("=")

    def credential(self, credential: Credential, attachment: str, fault: Fault) -> dict[str, Any]:
        return {
            "id": self.bytes(credential.id).rstrip("="),
            "rawId": self.bytes(credential.id if fault.raw_id is None else fault.raw_id),
            "type": "public-key",
            "authenticatorAttachment": attachment,
            "clientExtensionResults": {},
        }


def _broken(answer: dict[str, Any], fault: Fault) -> dict[str, Any]:
    for path, value in fault.members.items():
        place, name = _member(answer, path)
        place[name] = value
    for path in fault.without:
        place, name = _member(answer, path)
        del place[name]
    return answer


def _member(answer: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *way, name = path.split(".")
    place = answer
    for step in way:
        place = place[step]
    return place, name
