from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ...flows.resealing import reseal


class Command(BaseCommand):
    help = "Encrypt what rows keep encrypted under the newest of SECRET_KEYS, so that an older one can be dropped."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, found in reseal().items():
            self.stdout.write(f"{name}: {found.done}")
            if found.unreadable:
                self.stderr.write(f"{name}: {found.unreadable} can't be read, their key is not in SECRET_KEYS any more")
