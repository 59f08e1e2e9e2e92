"""What all contestants share: the project that ``startproject`` makes, the same people, sessions in the database."""

from __future__ import annotations

import base64
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar

from ..browser import HOST, ORIGIN, Browser


@dataclass(frozen=True)
class Flow:
    """One way to sign in, to be measured.

    ``table``: which others it stands beside. ``method``: the contestant's method that walks it. ``share``: of the
    number of sign-ins in a round, for what takes very long.
    """

    table: str
    method: str
    title: str = ""
    share: float = 1


class Contestant(ABC):
    """A Django project of its own, in a process of its own."""

    name: ClassVar[str]
    #: The distribution whose version is printed.
    distribution: ClassVar[str] = "Django"
    #: Modules without which it can't take part.
    needs: ClassVar[Sequence[str]] = ()
    flows: ClassVar[Sequence[Flow]]
    #: Beyond those of every contestant.
    apps: ClassVar[Sequence[str]] = ()
    middleware: ClassVar[Sequence[str]] = ()
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        #: Software authenticators, by person.
        self.authenticators: dict[int, Any] = {}

    @classmethod
    def is_installed(cls) -> bool:
        return all(importlib.util.find_spec(module) for module in cls.needs)

    @classmethod
    def label(cls) -> str:
        return cls.name if cls.distribution == cls.name else f"{cls.name} ({cls.distribution})"

    @classmethod
    def version(cls) -> str:
        return f"{cls.distribution} {version(cls.distribution)}"

    @abstractmethod
    def urls(self) -> list[Any]:
        """The URL patterns; called when Django is set up."""

    def prepare(self, people: int) -> None:
        """Fill the migrated database: ``people`` accounts with all that signing in takes, in the order of their keys.

        The flows begin at different people, evenly spaced.
        """
        from django.contrib.auth.hashers import make_password
        from django.contrib.auth.models import User

        password = make_password(self.password())
        User.objects.bulk_create(
            [User(username=f"person{n}", email=self.address(n), password=password) for n in range(people)]
        )

    def password(self) -> str | None:
        return None  # nobody has a usable one

    def address(self, person: int) -> str:
        return f"person{person}@{HOST}"

    def passkey_of(self, person: int, *, user_handle: bytes) -> Any:
        """A new passkey in this person's authenticator; returns the credential."""
        from passwordless_auth.testing.authenticator import Authenticator

        authenticator = Authenticator(synced=True, counter="zero")  # as most are
        self.authenticators[person] = authenticator
        return authenticator.add(rp_id=HOST, user_handle=user_handle)

    def assertion(self, person: int, options: Any) -> Any:
        return self.authenticators[person].get(options, origin=ORIGIN)

    def signed_in(self, browser: Browser) -> int | None:
        """Who the site says that this browser is: the key of a user. Asked after the first sign-ins of each flow."""
        answer: int | None = browser.get("/whoami/", expect=200).json()["user"]
        return answer


def encoded(value: bytes) -> str:
    """Base64url without padding, as WebAuthn's JSON has it."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
