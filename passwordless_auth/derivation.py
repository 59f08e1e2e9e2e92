"""The only file that derives, encrypts or compares secrets.

Codes and link tokens are never stored. They are an HMAC, under a key of the settings, over what the Challenge row
says and a random nonce that only the row holds: the database alone opens nothing, and the keys alone open nothing.
Each use has a key of its own (HKDF, RFC 5869), so a value made for one purpose is worthless for any other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.views.decorators.debug import sensitive_variables

from .conf import settings

#: Written to each row, so that a later scheme can be told apart.
VERSION: Final = 1
NONCE_BYTES: Final = 32

ALPHABETS: Final = {
    "digits": "0123456789",
    "letters": "BCDFGHJKLMNPQRSTVWXZ",  # RFC 8628 §6.1: no vowels, nothing that looks like a digit
}

_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{43})")


class UnknownKey(Exception):
    """A row names a key id that ``SECRET_KEYS`` no longer has."""


def new_public_id() -> str:
    """128 random bits in base64url: 22 characters."""
    return secrets.token_urlsafe(16)


def new_nonce() -> bytes:
    return os.urandom(NONCE_BYTES)


@sensitive_variables()
def code_for(*, key_id: str, purpose: str, address: str, nonce: bytes, length: int, alphabet: str) -> str:
    """The one-time code of a challenge: ``length`` characters of the named alphabet, leading zeros kept.

    The 256-bit MAC is far longer than any code, so the remainder favours no character.
    """
    letters = ALPHABETS[alphabet]
    number = int.from_bytes(_mac("code", key_id, purpose, address, nonce), "big")
    code = []
    for _position in range(length):
        number, index = divmod(number, len(letters))
        code.append(letters[index])
    return "".join(code)


@sensitive_variables()
def link_token_for(*, public_id: str, key_id: str, purpose: str, address: str, nonce: bytes) -> str:
    """The token of a challenge's link: its public id and the whole 256-bit MAC, in base64url."""
    mac = _mac("link", key_id, purpose, address, nonce)
    return public_id + base64.urlsafe_b64encode(mac).decode().rstrip("=")


@sensitive_variables()
def webauthn_challenge_for(*, public_id: str, key_id: str, purpose: str, browser_digest: str) -> bytes:
    """The challenge of a WebAuthn ceremony, 48 bytes: the public id of its row (16) and a MAC (32) that binds it to
    purpose and browser.

    So the answer names its row by itself, and one conditional UPDATE on that row can use it up before anything is
    verified, without reading it first.
    """
    mac = _mac("webauthn", key_id, purpose, f"{public_id} {browser_digest}", b"")
    return base64.urlsafe_b64decode(public_id + "==") + mac


@sensitive_variables()
def public_id_of_webauthn_challenge(challenge: bytes, *, purpose: str, browser_digest: str) -> str | None:
    """The public id in a WebAuthn challenge that was made for this purpose and this browser, or ``None``."""
    if len(challenge) != 48:
        return None
    public_id = base64.urlsafe_b64encode(challenge[:16]).decode().rstrip("=")
    for key_id, _secret in settings.SECRET_KEYS:
        made = webauthn_challenge_for(
            public_id=public_id, key_id=key_id, purpose=purpose, browser_digest=browser_digest
        )
        if hmac.compare_digest(challenge, made):
            return public_id
    return None


#: What credential ids and transports of passkeys that people really have look like.
_LIKELY_PASSKEYS: Final = (
    (20, ("hybrid", "internal")),
    (32, ("hybrid", "internal")),
    (16, ("hybrid", "internal")),
    (32, ("internal",)),
    (32, ("hybrid", "internal")),
    (20, ("hybrid", "internal")),
    (16, ("hybrid", "internal")),
    (48, ("nfc", "usb")),
)


@sensitive_variables()
def decoy_passkey(address: str) -> tuple[bytes, list[str]]:
    """Credential id and transports that stand for the passkey of an address that has none.

    The same at every question, and not to be told from a real one: length and transports vary as those of people do.
    From the oldest key, so that a new one doesn't show which are decoys.
    """
    key_id = settings.SECRET_KEYS[-1][0]
    looks = _mac("decoy", key_id, "looks", address, b"")
    length, transports = _LIKELY_PASSKEYS[looks[0] % len(_LIKELY_PASSKEYS)]
    made = _mac("decoy", key_id, "first", address, b"") + _mac("decoy", key_id, "second", address, b"")
    return made[:length], list(transports)


def new_recovery_code() -> str:
    """80 random bits as 16 characters of base32 (RFC 4648 §6)."""
    return base64.b32encode(secrets.token_bytes(10)).decode()


#: What people read for a letter of base32, which has none of these digits (RFC 4648 §6).
_LOOK_ALIKES: Final = str.maketrans("018", "OIB")


@sensitive_variables()
def recovery_digest(code: str, *, user_id: object, key_id: str) -> str:
    """What is stored of a recovery code: an HMAC in hex, under a key outside the database, bound to its user.

    Marks, case and digits that look like a letter make no difference, in what is stored and in what is typed.
    """
    return _mac("recovery_code", key_id, str(user_id), tidy_code(code).translate(_LOOK_ALIKES), b"").hex()


@sensitive_variables()
def recovery_digests(code: str, *, user_id: object) -> list[str]:
    """The digests that a typed code may be stored under, one for each key of the settings."""
    return [recovery_digest(code, user_id=user_id, key_id=key_id) for key_id, _secret in settings.SECRET_KEYS]


@sensitive_variables()
def client_secret_digest(secret: str, *, made_of: str, key_id: str | None = None) -> str:
    """What is stored of a client's secret beside its slow hash: ``key id:HMAC in hex``. The secret is long and random:
    it needs no stretching, only a key outside the database. ``made_of`` names the hash that it stands for: a digest is
    worth nothing beside another one. ``key_id``: by default the key that issues."""
    key_id = key_id or settings.issuing_key_id
    return f"{key_id}:{_mac('client_secret', key_id, made_of, secret, b'').hex()}"


@sensitive_variables()
def is_client_secret(secret: str, digest: str, *, made_of: str) -> bool | None:
    """Whether a digest is of this secret; ``None`` when its key is gone from the settings."""
    key_id = digest.rpartition(":")[0]
    try:
        return hmac.compare_digest(digest, client_secret_digest(secret, made_of=made_of, key_id=key_id))
    except UnknownKey:
        return None


def pairwise_subject(handle: str, *, sector: str, salt: bytes) -> str:
    """A person's subject in one sector (OpenID Connect Core §8.1): 43 characters of base64url. ``salt`` is kept for
    ever; no key of the settings is in it, since those are changed."""
    fields = b"".join(len(field).to_bytes(4, "big") + field for field in (sector.encode(), handle.encode()))
    return base64.urlsafe_b64encode(hmac.digest(salt, fields, hashlib.sha256)).decode().rstrip("=")


def public_id_of(token: str) -> str | None:
    """The public id in a link token, or ``None`` when the text can't be one."""
    match = _TOKEN.fullmatch(token)
    return match[1] if match else None


def tidy_code(text: str) -> str:
    """What a person meant: spaces, dashes and other marks dropped, foreign digits as ASCII, in upper case."""
    kept = []
    for char in unicodedata.normalize("NFKC", text).upper():
        if char.isdecimal():
            kept.append(str(unicodedata.decimal(char)))
        elif char.isalpha():
            kept.append(char)
    return "".join(kept)


def grouped(code: str) -> str:
    """The code as people read it: in fours where that divides it, else in threes, with a space or (letters) a dash."""
    if len(code) < 6:
        return code
    size, mark = (3 if len(code) % 4 else 4), (" " if code.isdigit() else "-")
    return mark.join(code[start : start + size] for start in range(0, len(code), size))


@sensitive_variables()
def seal(plain: str, *, purpose: str, context: str, key_id: str | None = None) -> str:
    """Encrypt for a column, AES-256-GCM: ``key id:nonce and ciphertext``. ``context`` (the row's public id) is
    authenticated, so that a sealed value can't be moved to another row. ``key_id``: by default the key that issues."""
    key_id = key_id or settings.issuing_key_id
    nonce = os.urandom(12)
    sealed = AESGCM(_subkey(_key(key_id), purpose)).encrypt(nonce, plain.encode(), context.encode())
    return f"{key_id}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"


@sensitive_variables()
def unseal(sealed: str, *, purpose: str, context: str) -> str | None:
    """The plain text, or ``None`` when its key is gone or the value was tampered with."""
    key_id, _colon, text = sealed.rpartition(":")
    try:
        raw = base64.urlsafe_b64decode(text)
        return AESGCM(_subkey(_key(key_id), purpose)).decrypt(raw[:12], raw[12:], context.encode()).decode()
    except (UnknownKey, InvalidTag, ValueError):
        return None


@sensitive_variables()
def _mac(label: str, key_id: str, purpose: str, address: str, nonce: bytes) -> bytes:
    # Each field carries its length: no two different lists of fields make the same message.
    fields = (str(VERSION).encode(), purpose.encode(), address.encode(), bytes(nonce))
    message = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hmac.digest(_subkey(_key(key_id), label), message, hashlib.sha256)


@sensitive_variables()
def _key(key_id: str) -> str:
    for known_id, key in settings.SECRET_KEYS:
        if known_id == key_id:
            return key
    raise UnknownKey(key_id)


@lru_cache(maxsize=64)
@sensitive_variables()
def _subkey(key: str, label: str) -> bytes:
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"passwordless_auth/{label}/v1".encode())
    return derive.derive(key.encode())
