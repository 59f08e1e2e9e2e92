"""What differs by host: the numbers of one sign-in (Rules) and the decisions (Policy)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from .conf import settings
from .identifiers import Identifier
from .models import Level, Proof, SignIn
from .requester import Requester


@dataclass(frozen=True)
class Rules:
    """The rules of one sign-in, made by the caller. Lifetimes are in seconds."""

    methods: tuple[str, ...] = field(default_factory=lambda: tuple(settings.METHODS))
    code_lifetime: int = field(default_factory=lambda: settings.CODE_LIFETIME)
    link_lifetime: int = field(default_factory=lambda: settings.LINK_LIFETIME)
    code_length: int = field(default_factory=lambda: settings.CODE_LENGTH)
    code_alphabet: str = field(default_factory=lambda: settings.CODE_ALPHABET)
    code_tries: int = field(default_factory=lambda: settings.CODE_TRIES)
    minimum_level: Level = Level.RECOVERED


@dataclass(frozen=True)
class NextStep:
    """A sign-in is not enough yet: it must reach ``level``."""

    level: Level


class Policy:
    """The decisions that a host may change: subclass it and name the subclass in ``PASSWORDLESS_AUTH_POLICY``.

    ``may_sign_up`` and ``methods_for`` are asked while a sign-in starts: a query there is a query for every
    visitor, and one that runs only for known addresses tells which addresses are known.
    """

    def may_sign_up(self, identifier: Identifier, requester: Requester) -> bool:
        """Whether the first sign-in with an unknown address makes an account."""
        return settings.SIGN_UP == "open"

    def methods_for(self, user: Any | None, identifier: Identifier, rules: Rules) -> list[str]:
        """Names of the methods that a message to this address may offer."""
        return list(rules.methods)

    def next_step(self, user: Any, sign_in: SignIn, rules: Rules) -> NextStep | None:
        """What is still due before this sign-in is complete; ``None`` when nothing is."""
        minimum = rules.minimum_level
        if getattr(user, "is_staff", False):
            minimum = max(minimum, Level(settings.LEVEL_FOR_STAFF), key=lambda level: level.rank)
        return None if Level(sign_in.level).meets(minimum) else NextStep(minimum)

    def level_of(self, proofs: Sequence[Proof]) -> Level:
        """The level that these proofs make. A link and a code to the same mailbox are one factor, however often they
        are used."""
        return Level.SINGLE


def current() -> Policy:
    """The host's Policy."""
    return _policy(settings.POLICY)


@lru_cache(maxsize=8)
def _policy(path: str) -> Policy:
    policy: Policy = import_string(path)()
    return policy
