from .authorize import AuthorizeView, ContinueView
from .token import IntrospectView, RevokeView, TokenView, UserinfoView

__all__ = [
    "AuthorizeView",
    "ContinueView",
    "IntrospectView",
    "RevokeView",
    "TokenView",
    "UserinfoView",
]
