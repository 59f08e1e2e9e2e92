"""For the tests of host projects; not loaded by the app itself.

With unittest::

    from passwordless_auth.testing import Authenticator, last_code, signed_in_client

With pytest there are fixtures: :mod:`passwordless_auth.testing.plugin`. The factories, which need factory-boy, are in
:mod:`passwordless_auth.testing.factories`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .authenticator import Authenticator, Refused
    from .credential import Credential
    from .enrolment import add_passkey, add_recovery_codes, add_totp, totp_code
    from .faults import FAULTS_OF_CREATE, FAULTS_OF_GET, Fault, lookalikes
    from .mail_scanner import Visit, scan
    from .outbox import last_code, last_link, last_message, send_queued
    from .sessions import signed_in_client

#: Where each name is. Looked up when it is used: pytest loads this package before Django has its settings.
_HOMES: Final = {
    "authenticator": ("Authenticator", "Refused"),
    "credential": ("Credential",),
    "enrolment": ("add_passkey", "add_recovery_codes", "add_totp", "totp_code"),
    "faults": ("FAULTS_OF_CREATE", "FAULTS_OF_GET", "Fault", "lookalikes"),
    "mail_scanner": ("Visit", "scan"),
    "outbox": ("last_code", "last_link", "last_message", "send_queued"),
    "sessions": ("signed_in_client",),
}

__all__ = [
    "FAULTS_OF_CREATE",
    "FAULTS_OF_GET",
    "Authenticator",
    "Credential",
    "Fault",
    "Refused",
    "Visit",
    "add_passkey",
    "add_recovery_codes",
    "add_totp",
    "last_code",
    "last_link",
    "last_message",
    "lookalikes",
    "scan",
    "send_queued",
    "signed_in_client",
    "totp_code",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
