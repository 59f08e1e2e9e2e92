from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...flows.purging import BATCH, purge


class Command(BaseCommand):
    help = "Delete rows that have outlived their retention, in batches. Run it daily."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=BATCH, help=f"rows a statement (default: {BATCH})")

    def handle(self, *args: Any, batch: int, **options: Any) -> None:
        for name, number in purge(batch=batch).items():
            self.stdout.write(f"{name}: {number}")
