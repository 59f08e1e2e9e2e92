from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...flows.importing import SOURCES, Skipped, Unavailable, import_from


class Command(BaseCommand):
    help = (
        "Take over what another package keeps of your users: passkeys, authenticator apps, recovery codes, verified "
        "addresses. Rows that stay behind are listed with the reason. Its tables are only read. Safe to repeat, and to "
        "break off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", choices=list(SOURCES), help="the package to import from")
        parser.add_argument("--dry-run", action="store_true", help="report only, change nothing")

    def handle(self, *args: Any, source: str, dry_run: bool, **options: Any) -> None:
        try:
            tallies = import_from(SOURCES[source](), dry_run=dry_run, tell=self._tell)
        except Unavailable as error:
            raise CommandError(str(error)) from error
        for kind, tally in tallies.items():
            self.stdout.write(
                f"{kind}: {'would import' if dry_run else 'imported'} {tally.imported}, "
                f"already there {tally.present}, left out {tally.skipped}."
            )
            if tally.unproven:
                self.stdout.write(
                    f"{kind}: {tally.unproven} people have an address that was neither proven nor imported. Who proves "
                    'it first takes the account over without these. See "Migrate from other packages".'
                )

    def _tell(self, skipped: Skipped) -> None:
        address = f" {skipped.masked}" if skipped.masked else ""
        self.stdout.write(f"left out: {skipped.table} {skipped.row}{address} (user {skipped.user}): {skipped.reason}")
