"""What differs by host: the numbers of one sign-in (Rules) and the decisions (Policy)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from .conf import settings
from .identifiers import Identifier
from .models import Identity, Level, Profile, Proof, SignIn
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
    links_by_sms: bool = field(default_factory=lambda: settings.SMS_LINKS)
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
        """Names of the methods that a message to this address may offer. A text message has the code alone, unless
        the Rules say otherwise: the phone offers to type it, and a link would open in another browser."""
        code_only = identifier.kind == "phone" and "one_time_code" in rules.methods and not rules.links_by_sms
        return [name for name in rules.methods if not (code_only and name == "magic_link")]

    def may_link(self, user: Any, identity: Identity, sign_in: SignIn | None) -> bool:
        """Whether the account of ``identity``, which this person has just proven to be theirs, too, may become a part
        of ``user``'s. ``sign_in``: their session, ``None`` for one that other code made.

        Asked after the rules that no Policy can lift: see ``flows.linking``. SECURITY: staff is left out, since what
        a member of staff may do must not depend on a mailbox alone.
        """
        return not any(getattr(identity.user, right, False) for right in ("is_staff", "is_superuser"))

    def next_step(self, user: Any, sign_in: SignIn, rules: Rules) -> NextStep | None:
        """What is still due before this sign-in is complete; ``None`` when nothing is."""
        minimum = self.needs(user, rules)
        return None if Level(sign_in.level).meets(minimum) else NextStep(minimum)

    def needs(self, user: Any, rules: Rules | None = None) -> Level:
        """The level that a sign-in of this person has to reach."""
        return max(self.minimum_levels(user, rules or Rules()), key=lambda level: level.rank)

    def minimum_levels(self, user: Any, rules: Rules) -> Iterator[Level]:
        """What asks for how much: the caller (a Client), the person's own settings, staff, groups. The highest
        counts."""
        yield rules.minimum_level
        profile = Profile.objects.of(user)
        if profile.minimum_level:
            yield Level(profile.minimum_level)
        # SECURITY: who has a second factor meets it on every door, or it would guard nothing.
        if profile.has_totp and "totp" in settings.METHODS:
            yield Level.MULTI
        if getattr(user, "is_staff", False):
            yield Level(settings.LEVEL_FOR_STAFF)
        groups = settings.LEVEL_FOR_GROUPS
        if groups and hasattr(user, "groups"):
            for name in user.groups.filter(name__in=groups).values_list("name", flat=True):
                yield Level(groups[name])

    def level_of(self, proofs: Sequence[Proof]) -> Level:
        """The level that these proofs make. A link and a code to the same mailbox are one factor, however often they
        are used."""
        methods = {proof.method for proof in proofs}
        if "passkey" in methods:
            return Level.PHR
        # SECURITY: a recovery code stands for what was lost. It never makes two factors with anything.
        if "recovery_code" in methods:
            return Level.RECOVERED
        if "totp" in methods and methods & {"magic_link", "one_time_code"}:
            return Level.MULTI
        return Level.SINGLE


def proven_at(proofs: Sequence[Proof]) -> dict[Level, int]:
    """When each level was last proven, in seconds since 1970; 0 for never.

    SECURITY: each authenticator is judged by itself, beside what messages proved. Or an app's code of this minute would
    make this morning's passkey young again (MF-01: method *and* time).
    """
    policy = current()
    messages = [proof for proof in proofs if not proof.authenticator]
    times = dict.fromkeys(Level, 0)
    for proof in proofs:
        made = policy.level_of([*messages, proof] if proof.authenticator else messages)
        for level in Level:
            if made.meets(level):
                times[level] = max(times[level], proof.at)
    return times


def current() -> Policy:
    """The host's Policy."""
    return _policy(settings.POLICY)


@lru_cache(maxsize=8)
def _policy(path: str) -> Policy:
    policy: Policy = import_string(path)()
    return policy
