from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ... import keys


class Command(BaseCommand):
    help = (
        "Make the next keys that sign tokens. They are published now, and sign when clients have had time to see them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--compromised",
            action="store_true",
            help="somebody else may have the old keys: withdraw them now, and sign with the new ones at once",
        )

    def handle(self, *args: Any, compromised: bool, **options: Any) -> None:
        if any(key.signs for key in keys.from_settings()):
            raise CommandError(
                "The keys are in PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS, and are rotated there: see the how-to."
            )
        made = keys.rotate(compromised=compromised)
        if not made:
            raise CommandError("Another process has just done it.")
        for key, signs_from in made:
            self.stdout.write(f"{key.alg} {key.kid}: signs from {signs_from:%Y-%m-%d %H:%M %Z}")
