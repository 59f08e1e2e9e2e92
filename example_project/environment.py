"""Values from the environment, each with the type that it should have."""

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured

WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def env(name: str, default: Any = None, kind: type | None = None) -> Any:
    """The variable as ``kind`` (``str``, ``int``, ``bool`` or ``list``, the type of ``default`` when left out).

    ``default`` when it is not set. An empty one counts as not set, but where text is wanted: there it may be meant.
    """
    kind = kind or type(default)
    value = os.environ.get(name)
    if value is None or (kind is not str and not value.strip()):
        return default
    if kind is int:
        try:
            return int(value)
        except ValueError:
            raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if kind is bool:
        try:
            return WORDS[value.strip().lower()]
        except KeyError:
            raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.") from None
    if kind is list:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value
