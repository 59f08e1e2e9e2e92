"""One file per kind of row."""

from .address_mark import AddressMark
from .challenge import Challenge
from .counter import Counter
from .delivery import Delivery
from .event import Event
from .identity import Identity
from .imported_row import ImportedRow
from .known_browser import KnownBrowser
from .passkey import Passkey
from .profile import Profile
from .recovery_code import RecoveryCode
from .sign_in import Level, Proof, SignIn
from .totp import Totp

__all__ = [
    "AddressMark",
    "Challenge",
    "Counter",
    "Delivery",
    "Event",
    "Identity",
    "ImportedRow",
    "KnownBrowser",
    "Level",
    "Passkey",
    "Profile",
    "Proof",
    "RecoveryCode",
    "SignIn",
    "Totp",
]
