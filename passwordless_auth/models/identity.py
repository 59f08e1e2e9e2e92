from __future__ import annotations

from datetime import datetime
from typing import cast

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from ..derivation import new_public_id
from ..identifiers import KINDS, Identifier, Kind, mask
from .known_browser import KnownBrowser
from .public_id import PublicIdQuerySet


class IdentityQuerySet(PublicIdQuerySet["Identity"]):
    def named(self, identifier: Identifier) -> IdentityQuerySet:
        """The one Identity of this address, by the unique canonical column, with its user."""
        return self.select_related("user").filter(kind=identifier.kind, canonical=identifier.canonical)

    def main_first(self) -> IdentityQuerySet:
        """As their owner sees them: the main ones, and those that came from a linked account after their own."""
        return self.order_by("-is_primary", F("linked_from").asc(nulls_first=True), "pk")

    def prove(self, identity: Identity, *, now: datetime) -> bool:
        """Note the first proof. False when another request was first."""
        return self.filter(pk=identity.pk, proven_at=None).update(proven_at=now) == 1


class Identity(models.Model):
    """An address that belongs to a user: where messages go, and what the user signs in with."""

    class Origin(models.TextChoices):
        SIGN_UP = "sign_up", _("proven by its owner when signing up")
        IMPORT = "import", _("taken over from user.email by the import command")
        HOST = "host", _("entered by an administrator or another part of this site")
        OWNER = "owner", _("added and proven by its owner, who was signed in")

    public_id = models.CharField(_("public id"), max_length=22, unique=True, default=new_public_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="passwordless_identities", verbose_name=_("user")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=KINDS)
    canonical = models.CharField(_("address"), max_length=254)
    is_primary = models.BooleanField(_("primary"), default=False)
    for_sign_in = models.BooleanField(_("signs in"), default=True)
    for_recovery = models.BooleanField(_("recovers the account"), default=True)
    for_notices = models.BooleanField(_("gets notices"), default=True)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin.choices, default=Origin.HOST)
    proven_at = models.DateTimeField(_("proven"), null=True, blank=True)
    #: The user that this address came from when two accounts were linked: what unlinking gives it back to.
    linked_from = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("linked from"),
    )
    #: When "this wasn't me" brought it back after it had been removed.
    restored_at = models.DateTimeField(_("brought back"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = IdentityQuerySet.as_manager()

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = (models.UniqueConstraint(fields=["kind", "canonical"], name="passwordless_identity_unique"),)

    def __str__(self) -> str:
        return self.masked

    @property
    def masked(self) -> str:
        return mask(self.canonical)

    @property
    def identifier(self) -> Identifier:
        return Identifier(cast(Kind, self.kind), self.canonical)


def others_to_tell(user: str, *, but: str = "") -> Exists:
    """For an annotation: whether the account of the column ``user`` has a browser that signed in before, and an address
    that is told of a new one; another one than in the column ``but``. So that a sign-in which nobody is to be told of
    reads nothing for it."""
    seen = KnownBrowser.objects.filter(user=OuterRef("user"))
    told = Identity.objects.filter(Q(for_notices=True) | Q(is_primary=True), Exists(seen), user=OuterRef(user))
    told = told.exclude(proven_at=None)
    return Exists(told.exclude(canonical=OuterRef(but)) if but else told)
