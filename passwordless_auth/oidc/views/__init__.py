from .applications import ApplicationsView
from .authorize import AuthorizeView, ContinueView
from .logout import LogoutView
from .metadata import DiscoveryView, JwksView
from .registration import RegisterView, RegistrationView
from .token import IntrospectView, RevokeView, TokenView, UserinfoView

__all__ = [
    "ApplicationsView",
    "AuthorizeView",
    "ContinueView",
    "DiscoveryView",
    "IntrospectView",
    "JwksView",
    "LogoutView",
    "RegisterView",
    "RegistrationView",
    "RevokeView",
    "TokenView",
    "UserinfoView",
]
