"""How each proof is issued and checked, without HTTP: one file per method."""

from .base import Issued, Method
from .magic_link import MagicLink
from .one_time_code import OneTimeCode
from .totp import AuthenticatorApp

METHODS: dict[str, Method] = {method.name: method for method in (MagicLink(), OneTimeCode(), AuthenticatorApp())}

__all__ = ["METHODS", "AuthenticatorApp", "Issued", "MagicLink", "Method", "OneTimeCode"]
