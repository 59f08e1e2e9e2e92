from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...flows import importing
from ...flows.accounts import email_field


class Command(BaseCommand):
    help = (
        "Turn user.email of the existing users into Identities, so that they can sign in by link and code. "
        "Addresses that two users share, or that can't be read, are reported and left out. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="report only, change nothing")

    def handle(self, *args: Any, dry_run: bool, verbosity: int, **options: Any) -> None:
        if email_field() is None:
            raise CommandError("The user model has no e-mail field: there is nothing to import.")
        report = importing.import_identities(dry_run=dry_run)
        for title, users in (
            ("shared by several users, left out", report.duplicates),
            ("can't be read as an address, left out", report.unreadable),
            ("belongs to another user already, left out", report.taken),
        ):
            for address, pks in users:
                self.stdout.write(f"{title}: {address} (users {', '.join(pks)})")
        self.stdout.write(
            f"{'Would import' if dry_run else 'Imported'} {report.imported}, already there {report.present}, "
            f"without an address {report.without}, left out "
            f"{len(report.duplicates) + len(report.unreadable) + len(report.taken)}."
        )
