from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...exceptions import PasswordlessError
from ...flows import login_link
from ...identifiers import parse
from ...models import Identity


class Command(BaseCommand):
    help = (
        "Print a link that signs one person in, once and soon (PASSWORDLESS_AUTH_LINK_LIFETIME): for support. "
        "It is written down with the reason."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name, e-mail address or primary key")
        parser.add_argument("--reason", required=True, help="why; kept with the event")

    def handle(self, *args: Any, user: str, reason: str, **options: Any) -> None:
        person = _find(user)
        try:
            link = login_link.make(person, reason=reason, operator=_operator())
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
