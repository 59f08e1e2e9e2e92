"""Notices: what changed about an account, to every proven address of its owner, with "this wasn't me"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, Q, QuerySet

from .. import outbox
from ..conf import settings
from ..models import Challenge, Delivery, Identity, KnownBrowser, Passkey, Profile
from ..requester import Operator, Requester
from . import pumping

#: Seconds that a notice is tried to be sent.
LIFETIME: Final = 86400

#: What programs that read mail make a link of: "https://", "name@host", "host.example", but not "15.2".
_LINKING: Final = re.compile(r"[:/\\@。．｡](?=\S)|(?<!\d)\.(?=\S)|\.(?=[^\s\d])")


def without_links(name: str) -> str:
    """A name that somebody gave, as a notice says it.

    SECURITY: a thief would call a passkey "Not you? secure-undo.example", and our own message would carry their link.
    """
    return _LINKING.sub(r"\g<0> ", name)


def addresses_of(user: Any, *, all_of_them: bool = False, seen: QuerySet[KnownBrowser] | None = None) -> list[Identity]:
    """The addresses that a notice to this person goes to, the primary ones first: every proven one, but those that they
    have taken out.

    SECURITY: never the primary ones; and not at all (``all_of_them``) where the change is one of addresses, or whoever
    holds a stolen session would make it quiet first. ``seen``: none, where there are no such browsers.
    """
    proven = Identity.objects.filter(user=user).exclude(proven_at=None)
    if not all_of_them:
        proven = proven.filter(Q(for_notices=True) | Q(is_primary=True))
    if seen is not None:
        proven = proven.filter(Exists(seen))
    rows = proven.select_related("user__passwordless_profile").main_first()
    return [row for row in rows if row.identifier.is_reachable]


def tell(
    user: Any,
    kind: str,
    *,
    requester: Requester,
    now: datetime,
    passkey: Passkey | None = None,
    sign_in_id: int | None = None,
    operator: Operator | None = None,
    undoable: bool = True,
    to: Sequence[Identity] | None = None,
    **facts: Any,
) -> Challenge | None:
    """Queue the notice ``kind`` (templates ``messages/<kind>.*``) to this person's addresses (``addresses_of``), or
    ``to`` these; to be called inside the transaction of the change.

    All share one link, "this wasn't me", which works for ``REPORT_LIFETIME``: the returned challenge (purpose
    ``report``), whose ``params`` say what it would undo: ``kind``, ``passkey`` (public id) and ``sign_in`` (pk of the
    session that made the change), beside ``facts`` for the templates. ``operator``: an administrator made it; the
    owner is told so, and neither who, nor from where, nor why. ``undoable=False``: the notice has no link. ``None``
    when there is no such address.
    """
    wanted = addresses_of(user) if to is None else to
    identities = [row for row in wanted if pumping.affords_notice(row.identifier, now=now)]
    if not identities:
        return None
    first = identities[0]
    expires_at = now + timedelta(seconds=settings.REPORT_LIFETIME)
    params = {**facts, "kind": kind, "sign_in": sign_in_id}
    if operator is not None:
        requester, params["by_operator"] = Requester(), True
    if passkey is not None:
        params |= {"passkey": passkey.public_id, "name": without_links(passkey.name)}
    challenge = Challenge.objects.create(
        purpose=Challenge.Purpose.REPORT,
        kind=first.kind,
        canonical=first.canonical,
        identity=first,
        user=user,
        params=params,
        # No browser_digest: no browser asked for this link. Who made the change is told by ip and user_agent.
        ip=requester.ip or None,
        user_agent=requester.user_agent,
        key_id=settings.issuing_key_id,
        accepts_code=False,
        accepts_link=undoable,
        created_at=now,
        link_expires_at=expires_at,
        expires_at=expires_at,
    )
    language = Profile.objects.of(first.user).language
    for identity in identities:
        delivery = Delivery(
            kind=kind,
            channel=identity.identifier.channel,
            canonical=identity.canonical,
            challenge=challenge,
            user=user,
            language=language,
            created_at=now,
            available_at=outbox.leased_until(now=now),
            expires_at=now + timedelta(seconds=LIFETIME),
        )
        delivery.save(force_insert=True)
        outbox.post(delivery)
    return challenge
