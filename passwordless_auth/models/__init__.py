"""One file per kind of row."""

from .challenge import Challenge
from .counter import Counter
from .delivery import Delivery
from .event import Event
from .identity import Identity
from .known_browser import KnownBrowser
from .profile import Profile
from .sign_in import Level, Proof, SignIn

__all__ = [
    "Challenge",
    "Counter",
    "Delivery",
    "Event",
    "Identity",
    "KnownBrowser",
    "Level",
    "Profile",
    "Proof",
    "SignIn",
]
