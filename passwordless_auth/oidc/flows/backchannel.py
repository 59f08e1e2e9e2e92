"""Clients are told when a session of theirs has ended: OpenID Connect Back-Channel Logout 1.0, through the outbox."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from ... import outbound, outbox
from ...channels import Receipt, Rejected, Retryable
from ...models import Delivery
from .. import claims, clients, tokens
from ..models import Authorization, ClientSettings
from ..models.authorization import AuthorizationQuerySet

#: ``Delivery.kind``; see ``outbox.register``.
KIND: Final = "backchannel_logout"
#: Seconds before the next attempts, while a Client does not answer as it should; the last repeats.
BACK_OFF: Final = (5, 30, 120, 600, 3600)
#: Seconds after which a Client is given up. By then its own session is hardly what it was.
LIFETIME: Final = 86400


def on_sign_ins_ending(sender: object, *, pks: Iterable[int], now: datetime, **_kwargs: Any) -> None:
    """Receiver of ``signals.sign_ins_ending``: the rows are committed with the end of the session, or not at all."""
    tell(Authorization.objects.filter(sign_in__in=list(pks)), now=now)


def tell(authorizations: AuthorizationQuerySet, *, now: datetime) -> None:
    """Queue a logout token for each Client and session of these; to be called inside the transaction that ends them.

    Revoked ones, too: the Client's own session may go on.
    """
    wanted = authorizations.filter(application__passwordless_settings__backchannel_logout_uri__gt="")
    rows = wanted.select_related("application__passwordless_settings", "user__passwordless_profile").order_by("pk")
    for row in {(row.application_id, row.user_id, row.sid): row for row in rows if _is_openid(row)}.values():
        client = ClientSettings.of(row.application)
        delivery = Delivery(
            kind=KIND,
            channel="back-channel",
            # Nothing here is looked up when it is sent: by then the person may have been deleted.
            payload={
                "to": f"{row.application.name or row.application.client_id} ({client.backchannel_logout_uri})",
                "client_id": row.application.client_id,
                "sub": claims.subject(row.user, client),
                "sid": row.sid,
            },
            created_at=now,
            available_at=outbox.leased_until(now=now),
            expires_at=now + timedelta(seconds=LIFETIME),
        )
        delivery.save(force_insert=True)
        outbox.post(delivery)


def _is_openid(row: Authorization) -> bool:
    """Only an OpenID request began a session over there."""
    return "openid" in row.scope.split()


def hand_over(delivery: Delivery) -> Receipt:
    """Sign a logout token and POST it to its Client (§2.5). Raises Rejected and Retryable, as a channel does.

    The token is a new one at each attempt: it is good for two minutes, and whoever has seen its ``jti`` refuses it.
    """
    client_id = str(delivery.payload["client_id"])
    application = clients.load(client_id)
    client = ClientSettings.of(application) if application is not None else None
    if client is None or not client.backchannel_logout_uri:
        raise Rejected("not sent: this client takes no logout tokens any more")
    token = tokens.logout_token(
        subject=delivery.payload["sub"], client_id=client_id, sid=delivery.payload["sid"], alg=client.id_token_alg
    )
    try:
        status = outbound.post(client.backchannel_logout_uri, {"logout_token": token})
    except outbound.Forbidden as refusal:
        raise Rejected(f"not sent: {refusal}") from refusal
    except outbound.NoAnswer as trouble:
        raise Retryable(str(trouble)) from trouble
    if status == 400:
        raise Rejected("the client answered 400: it could not sign the person out")
    if status not in (200, 204):
        raise Retryable(f"the client answered {status}")
    return Receipt(provider="back-channel")
