from __future__ import annotations

import secrets

from django.db import models
from django.utils.translation import gettext_lazy as _

from ... import derivation


class PairwiseSaltQuerySet(models.QuerySet["PairwiseSalt"]):
    def current(self) -> bytes:
        """The one salt of this site, made when it is missing. Raises UnknownKey when its key was dropped."""
        row = self.first()
        if row is None:
            made = derivation.seal(secrets.token_hex(32), purpose="pairwise", context="salt")
            row, _created = self.get_or_create(pk=1, defaults={"sealed": made})
        plain = derivation.unseal(row.sealed, purpose="pairwise", context="salt")
        if plain is None:
            raise derivation.UnknownKey(row.sealed.partition(":")[0])
        return bytes.fromhex(plain)


class PairwiseSalt(models.Model):
    """What makes pairwise subjects (OpenID Connect Core §8.1). It outlives all keys: with another one, every person
    would be a stranger to every pairwise client."""

    sealed = models.TextField(editable=False)

    objects = PairwiseSaltQuerySet.as_manager()

    class Meta:
        verbose_name = _("salt of pairwise subjects")
        verbose_name_plural = _("salts of pairwise subjects")

    def __str__(self) -> str:
        return str(self.pk)
