"""What a person has let Clients do ends: by themselves, or with their account.

With a session it ends by itself: whether a token is good is weighed when it is used (``Authorization.is_alive``). It is
written down here, too, for the day when the row of the session is purged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from ...models import SignIn
from ...models.event import record
from ...models.sign_in import RUN_OUT
from ...requester import Requester
from .. import _dot
from ..models import Authorization, ClientSettings, Consent
from . import backchannel


@dataclass
class Access:
    """What one Client may do in a person's name. ``since`` is ``None`` where nobody wrote it down."""

    application: Any
    scopes: set[str] = field(default_factory=set)
    since: datetime | None = None
    last_used: datetime | None = None

    @property
    def look(self) -> ClientSettings:
        return ClientSettings.of(self.application)

    def add(self, scope: str, since: datetime | None, last_used: datetime | None) -> None:
        self.scopes |= set(scope.split())
        self.since = min(filter(None, (self.since, since)), default=None)
        self.last_used = max(filter(None, (self.last_used, last_used)), default=None)


def of_person(user: Any, *, now: datetime | None = None) -> list[Access]:
    """The Clients that this person has allowed something, or that have tokens in their name; those used last come
    first. Five statements, whatever there is."""
    now = now or timezone.now()
    found: dict[Any, Access] = {}

    def of(application: Any) -> Access:
        return found.setdefault(application, Access(application))

    for consent in Consent.objects.filter(user=user):
        of(consent.application_id).add(consent.scope, consent.granted_at, None)
    for row in _at_work(user):
        of(row.application_id).add(row.scope, row.created_at, row.created_at)
    access_tokens = _dot.get_access_token_model().objects.filter(user=user, expires__gt=now, origin=None)
    for token in access_tokens:
        if token.application_id is not None:
            of(token.application_id).add(token.scope, token.created, token.created)
    refreshed = _dot.get_refresh_token_model().objects.filter(user=user)
    for row in refreshed.values("application").annotate(used=Max("created"), foreign=Count("pk", filter=_foreign())):
        if row["application"] in found or row["foreign"]:
            of(row["application"]).add("", None, row["used"])
    rows = _dot.get_application_model().objects.select_related("passwordless_settings").in_bulk(list(found))
    for pk, row in rows.items():
        found[pk].application = row
    return sorted(found.values(), key=lambda each: each.last_used or each.since or now, reverse=True)


def _at_work(user: Any) -> QuerySet[Authorization]:
    """The authorizations of which there is something left: the session, or a refresh token."""
    unused = _dot.get_refresh_token_model().objects.filter(token_family=OuterRef("family"), revoked=None)
    running = SignIn.objects.live().filter(pk=OuterRef("sign_in"))
    return Authorization.objects.alive().filter(Exists(running) | Exists(unused), user=user).order_by("pk")


def _foreign() -> Q:
    """Refresh tokens that django-oauth-toolkit has given, before us, and that are alive: no authorization ends them."""
    return Q(~Exists(Authorization.objects.filter(family=OuterRef("token_family"))), revoked=None)


def revoke(user: Any, application: Any, *, requester: Requester, now: datetime | None = None) -> bool:
    """Take back all that a person has let this Client do; it is asked for anew at the next sign-in there. Its session
    ends, where it takes logout tokens. False when there was nothing."""
    now = now or timezone.now()
    with transaction.atomic():
        theirs = Authorization.objects.filter(user=user, application=application)
        backchannel.tell(theirs.alive(), now=now)
        consents, _by_model = Consent.objects.filter(user=user, application=application).delete()
        ended = theirs.revoke(now=now) + _end_foreign(now=now, user=user, application=application)
        if consents or ended:
            record("access_revoked", user=user, requester=requester, now=now, client_id=application.client_id)
    return bool(consents or ended)


def _end_foreign(*, now: datetime, **whose: Any) -> int:
    """End the tokens that django-oauth-toolkit has given, before us."""
    refresh_tokens = _dot.get_refresh_token_model().objects.filter(_foreign(), **whose)
    ended = refresh_tokens.update(revoked=now)
    access_tokens, _by_model = _dot.get_access_token_model().objects.filter(origin=None, **whose).delete()
    return int(ended + access_tokens)


def on_access_ending(sender: object, *, user: Any, reason: str, now: datetime, **_kwargs: Any) -> None:
    """Receiver of ``signals.access_ending``: all Clients of this person start anew.

    SECURITY: what was allowed before the owner of an address proved it may be an attacker's doing (AL-01): a Client of
    theirs would get a code without a question.
    """
    Authorization.objects.filter(user=user).revoke(now=now)
    _end_foreign(now=now, user=user)
    if reason == "first_proof":
        Consent.objects.filter(user=user).delete()


def on_sign_ins_ending(sender: object, *, pks: Iterable[int], reason: str, now: datetime, **_kwargs: Any) -> None:
    """Receiver of ``signals.sign_ins_ending``.

    SECURITY: rows of sessions are purged, and what does not know any more that its session was ended would be alive
    again. And what was allowed in a session that its owner does not know was not allowed by them.
    """
    if reason != RUN_OUT:
        Authorization.objects.filter(sign_in__in=list(pks)).revoke(now=now)
    if reason != "reported":
        return
    for row in Authorization.objects.filter(sign_in__in=list(pks)).select_related("sign_in"):
        given = Consent.objects.filter(user=row.user_id, application=row.application_id)
        given.filter(granted_at__gte=row.sign_in.created_at).delete()  # type: ignore[union-attr]
