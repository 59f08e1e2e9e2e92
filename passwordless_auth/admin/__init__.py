"""Django's admin: enough to answer "I got no mail", read-only and masked."""

from .rows import ChallengeAdmin, DeliveryAdmin, EventAdmin, IdentityAdmin, SignInAdmin

__all__ = ["ChallengeAdmin", "DeliveryAdmin", "EventAdmin", "IdentityAdmin", "SignInAdmin"]
