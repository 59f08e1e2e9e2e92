from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...outbox import drain


class Command(BaseCommand):
    help = "Send messages that are due and held by no other process. Safe to run at any time, and beside others."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="at most so many messages (default: 1000)")

    def handle(self, *args: Any, limit: int, **options: Any) -> None:
        self.stdout.write(f"{drain(limit=limit)} messages handed over.")
