from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from ... import derivation


class AuthorizationRequest(models.Model):
    """An authorization request that needs a person: to sign in, to confirm, to choose, to allow.

    SECURITY: ``prompt=login`` and ``max_age`` are met by a proof that is newer than this row, and by nothing else: who
    opens the sign-in page's ``next`` by hand has proven nothing.
    """

    public_id = models.CharField(max_length=22, unique=True, default=derivation.new_public_id, editable=False)
    application = models.ForeignKey(oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+")
    #: Digest of the key of the browser that brought it: it goes on in that one alone.
    browser_digest = models.CharField(max_length=64, editable=False)
    #: Its parameters, as they were checked.
    params = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    #: The account that was chosen (``select_account``): the public handle of its person.
    chosen = models.CharField(max_length=32, blank=True, default="")
    chosen_at = models.DateTimeField(null=True, blank=True)
    #: Who has allowed this very request (``prompt=consent``): the public handle of that person.
    allowed = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        verbose_name = _("authorization request")
        verbose_name_plural = _("authorization requests")

    def __str__(self) -> str:
        return self.public_id
