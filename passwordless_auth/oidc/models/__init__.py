"""Side tables for what django-oauth-toolkit has no column for; one file per kind of row."""

from .access_token_origin import AccessTokenOrigin
from .authorization import Authorization
from .authorization_request import AuthorizationRequest
from .client_settings import ClientSettings
from .consent import Consent
from .pairwise_salt import PairwiseSalt
from .signing_key import SigningKey

__all__ = [
    "AccessTokenOrigin",
    "Authorization",
    "AuthorizationRequest",
    "ClientSettings",
    "Consent",
    "PairwiseSalt",
    "SigningKey",
]
