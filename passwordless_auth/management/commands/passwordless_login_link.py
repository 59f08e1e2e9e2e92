"""Break-glass. Who needs more than a link, because of ``PASSWORDLESS_AUTH_LEVEL_FOR_STAFF`` for example, and has no
passkey, adds the first one behind it, and then uses it: members of staff can do so behind no other link. Where the
passkeys of an account are lost, ``--reset-factors`` takes them away first."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from ...exceptions import PasswordlessError
from ...flows import login_link, operator
from ...identifiers import parse
from ...models import Identity
from ...requester import Operator, Requester


class Command(BaseCommand):
    help = (
        "Print a link that signs one person in, once and soon (PASSWORDLESS_AUTH_LINK_LIFETIME): for support. "
        "It is written down with the reason. Whoever must have a passkey, and has none, adds one behind it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name, e-mail address, phone number or primary key")
        parser.add_argument("--reason", required=True, help="why; kept with the event")
        parser.add_argument(
            "--reset-factors",
            action="store_true",
            help="first delete the person's passkeys, authenticator app and recovery codes, and end their sessions; "
            "every proven address is told",
        )

    def handle(self, *args: Any, user: str, reason: str, reset_factors: bool = False, **options: Any) -> None:
        person, by = _find(user), Operator(name=_operator(), reason=reason)
        try:
            with transaction.atomic():
                if reset_factors:
                    operator.reset_factors(person, operator=by, requester=Requester())
                link = login_link.make(person, reason=reason, operator=by.name)
        except PasswordlessError as refusal:
            raise CommandError(str(refusal.detail)) from refusal
        self.stdout.write(link)


def _find(text: str) -> Any:
    model = get_user_model()
    # The address first: somebody may have taken another's address for a user name.
    for lookup in (lambda: _by_address(text), lambda: model._default_manager.get_by_natural_key(text)):
        try:
            return lookup()
        except (ObjectDoesNotExist, PasswordlessError):
            continue
    try:
        return model._default_manager.get(pk=text)
    except (ObjectDoesNotExist, ValueError, ValidationError) as error:
        raise CommandError(f"There is no user {text!r}.") from error


def _by_address(text: str) -> Any:
    return Identity.objects.named(parse(text)).get().user


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
