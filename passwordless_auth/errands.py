"""Why somebody is at our sign-in pages, where another app sent them: an OAuth client waits for the answer.

The core knows no OAuth. An app that sends people here registers a function that knows its own addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .policies import Rules
from .requester import Requester


@dataclass(frozen=True)
class Errand:
    """What the Client asks of our pages. ``name``: what it is called. ``form_action``: where its answer goes, a source
    of the Content-Security-Policy (browsers hold redirects after a form to ``form-action``). ``takes``: of
    ``"email"``, ``"phone"``, ``"passkey"``, the ways in that it accepts."""

    client_id: str
    name: str
    form_action: str
    rules: Rules = field(default_factory=Rules)
    takes: frozenset[str] = frozenset({"email", "phone", "passkey"})
    accent_color: str = ""
    policy_uri: str = ""
    tos_uri: str = ""


Finder = Callable[[str, Requester], Errand | None]
_finders: Final[list[Finder]] = []


def register(finder: Finder) -> None:
    """Ask ``finder(next_url, requester)`` about where people go on after signing in; it answers ``None`` for addresses
    that are not its own, without a query."""
    if finder not in _finders:
        _finders.append(finder)


def errand_of(next_url: str, requester: Requester) -> Errand | None:
    for finder in _finders if next_url else ():
        found = finder(next_url, requester)
        if found is not None:
            return found
    return None
