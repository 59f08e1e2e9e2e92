"""How a message leaves: one file per kind. Chosen by ``PASSWORDLESS_AUTH_CHANNELS``."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import settings
from .base import Channel, Medium, Message, Receipt, Rejected, Retryable

__all__ = ["Channel", "Medium", "Message", "Receipt", "Rejected", "Retryable", "channel", "outcomes_are_heard"]


def channel(alias: str) -> Channel:
    """The channel that the settings give this name. Raises ``ImproperlyConfigured`` when they give none."""
    try:
        wanted = settings.CHANNELS[alias]
        backend = import_string(wanted["BACKEND"])
    except (KeyError, ImportError) as error:
        raise ImproperlyConfigured(f"PASSWORDLESS_AUTH_CHANNELS has no usable channel {alias!r}: {error}") from error
    made: Channel = backend(**wanted.get("OPTIONS", {}))
    made.alias = alias
    return made


def outcomes_are_heard() -> bool:
    """Whether any channel of the settings wants to hear what became of its codes."""
    return any(_hears_outcome(wanted.get("BACKEND", "")) for wanted in settings.CHANNELS.values())


def _hears_outcome(backend: str) -> bool:
    try:
        return bool(getattr(import_string(backend), "hears_outcome", False))
    except ImportError:
        return False
