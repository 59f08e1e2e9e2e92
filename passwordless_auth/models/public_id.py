from __future__ import annotations

from typing import Self, TypeVar

from django.db import models

from ..identifiers import PUBLIC_ID

Row = TypeVar("Row", bound=models.Model)


class PublicIdQuerySet(models.QuerySet[Row]):
    """Rows that pages name by their ``public_id``."""

    def with_public_id(self, named: str) -> Self:
        """The one row of this id, or none. What a page sends back is anybody's text, and what can't be an id is not
        asked for: PostgreSQL refuses a NUL."""
        return self.filter(public_id=named) if PUBLIC_ID.fullmatch(named) else self.none()
