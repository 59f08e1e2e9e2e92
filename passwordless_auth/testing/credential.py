"""A passkey in software, and the algorithms that it may be of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa


@dataclass(frozen=True)
class _Algorithm:
    generate: Callable[[], Any]
    cose: Callable[[Any], dict[int, Any]]
    sign: Callable[[Any, bytes], bytes]


def _ecdsa(curve: ec.EllipticCurve, number: int, digest: hashes.HashAlgorithm) -> _Algorithm:
    size = (curve.key_size + 7) // 8

    def cose(public: ec.EllipticCurvePublicKey) -> dict[int, Any]:
        point = public.public_numbers()
        return {1: 2, -1: number, -2: point.x.to_bytes(size, "big"), -3: point.y.to_bytes(size, "big")}

    return _Algorithm(
        generate=lambda: ec.generate_private_key(curve),
        cose=cose,
        sign=lambda key, data: bytes(key.sign(data, ec.ECDSA(digest))),
    )


def _rsa(digest: hashes.HashAlgorithm, *, pss: bool) -> _Algorithm:
    # RFC 8230 §2: the salt is as long as the hash.
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else padding.PKCS1v15()

    def cose(public: rsa.RSAPublicKey) -> dict[int, Any]:
        numbers = public.public_numbers()
        size = (public.key_size + 7) // 8
        return {1: 3, -1: numbers.n.to_bytes(size, "big"), -2: numbers.e.to_bytes(3, "big")}

    return _Algorithm(
        generate=lambda: rsa.generate_private_key(65537, 2048),
        cose=cose,
        sign=lambda key, data: bytes(key.sign(data, scheme, digest)),
    )


def _ml_dsa(strength: int) -> _Algorithm:
    def generate() -> Any:
        from cryptography.hazmat.primitives.asymmetric import mldsa  # older versions have none

        return getattr(mldsa, f"MLDSA{strength}PrivateKey").generate()

    return _Algorithm(
        generate=generate,
        cose=lambda public: {1: 7, -1: public.public_bytes_raw()},
        sign=lambda key, data: bytes(key.sign(data)),
    )


#: By COSE number: ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512, ML-DSA-44, -65 and -87.
ALGORITHMS: Final[Mapping[int, _Algorithm]] = {
    -7: _ecdsa(ec.SECP256R1(), 1, hashes.SHA256()),
    -35: _ecdsa(ec.SECP384R1(), 2, hashes.SHA384()),
    -36: _ecdsa(ec.SECP521R1(), 3, hashes.SHA512()),
    -8: _Algorithm(
        generate=ed25519.Ed25519PrivateKey.generate,
        cose=lambda public: {1: 1, -1: 6, -2: public.public_bytes_raw()},
        sign=lambda key, data: bytes(key.sign(data)),
    ),
    -37: _rsa(hashes.SHA256(), pss=True),
    -38: _rsa(hashes.SHA384(), pss=True),
    -39: _rsa(hashes.SHA512(), pss=True),
    -257: _rsa(hashes.SHA256(), pss=False),
    -258: _rsa(hashes.SHA384(), pss=False),
    -259: _rsa(hashes.SHA512(), pss=False),
    -48: _ml_dsa(44),
    -49: _ml_dsa(65),
    -50: _ml_dsa(87),
}


@dataclass
class Credential:
    """A passkey on the authenticator: what a site's row of it is made of. ``discoverable``: it can be found without
    being named, and hands out the user handle."""

    id: bytes
    rp_id: str
    user_handle: bytes
    algorithm: int
    private_key: Any = field(repr=False)
    discoverable: bool = True
    counter: int = 0

    @property
    def cose_key(self) -> bytes:
        """The public key as the authenticator data has it (RFC 9052 §7)."""
        members = ALGORITHMS[self.algorithm].cose(self.private_key.public_key())
        return cbor2.dumps({1: members.pop(1), 3: self.algorithm, **members})

    @property
    def spki(self) -> bytes:
        """The public key in DER, as ``getPublicKey()`` gives it."""
        der: bytes = self.private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return der

    def sign(self, data: bytes) -> bytes:
        return ALGORITHMS[self.algorithm].sign(self.private_key, data)
