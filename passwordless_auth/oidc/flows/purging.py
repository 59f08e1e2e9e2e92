"""What the provider's rows add to ``passwordless_purge``. Django-oauth-toolkit's own ``cleartokens`` may run beside."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from ...flows.purging import delete_aged, in_batches, register
from .. import _dot
from ..conf import settings
from ..models import Authorization, AuthorizationRequest, SigningKey


def register_all() -> None:
    register("oidc_requests", requests)
    register("oidc_authorizations", authorizations)
    register("oidc_access_tokens", access_tokens)
    register("oidc_signing_keys", signing_keys)


def requests(batch: int, now: datetime) -> int:
    """Requests whose person did not do what was due."""
    return delete_aged(AuthorizationRequest.objects.filter(expires_at__lt=now), "expires_at", batch)


def authorizations(batch: int, now: datetime) -> int:
    """Authorizations of which nothing can be left, with their tokens: no session to tell of its end, nothing to
    refresh, and no code whose second coming would still harm anybody."""
    life = max(settings.OIDC_REFRESH_LIFETIME, settings.SESSION_LIFETIME)
    life += _dot.oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS
    over = Authorization.objects.filter(created_at__lt=now - timedelta(seconds=life))
    return in_batches(over, "created_at", batch, _delete_with_tokens)


def _delete_with_tokens(rows: QuerySet[Authorization]) -> None:
    pks, families = zip(*rows.values_list("pk", "family"), strict=True)
    _dot.get_refresh_token_model().objects.filter(token_family__in=families).delete()
    _dot.get_access_token_model().objects.filter(origin__authorization__in=pks).delete()
    rows.filter(pk__in=pks).delete()


def access_tokens(batch: int, now: datetime) -> int:
    """Access tokens of ours that have run out; by their key, which grows with time: django-oauth-toolkit has no index
    of it.

    One that came with a refresh token which is still good stays: without it, ``cleartokens`` takes the refresh token
    for an orphan.
    """
    ours = _dot.get_access_token_model().objects.filter(origin__isnull=False, expires__lt=now)
    return delete_aged(ours.filter(Q(refresh_token=None) | Q(refresh_token__revoked__isnull=False)), "pk", batch)


def signing_keys(batch: int, now: datetime) -> int:
    """Keys that are published no more: nothing that they signed is good for anything."""
    return delete_aged(SigningKey.objects.filter(published_until__lte=now), "published_until", batch)
