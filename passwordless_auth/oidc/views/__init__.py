from .authorize import AuthorizeView, ContinueView
from .metadata import DiscoveryView, JwksView
from .token import IntrospectView, RevokeView, TokenView, UserinfoView

__all__ = [
    "AuthorizeView",
    "ContinueView",
    "DiscoveryView",
    "IntrospectView",
    "JwksView",
    "RevokeView",
    "TokenView",
    "UserinfoView",
]
