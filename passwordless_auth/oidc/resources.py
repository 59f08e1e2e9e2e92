"""The host's own resources behind access tokens: ``oauth2_provider``'s views, decorators and REST framework classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request

from .validator import good_access_token, is_ours


class ResourceValidator(OAuth2Validator):  # type: ignore[misc]  # untyped
    """What django-oauth-toolkit asks when it guards a resource (``OAUTH2_VALIDATOR_CLASS``).

    An access token opens nothing any more once its person is disabled, has signed out or has taken the client's rights
    back; and an ID token opens nothing at all: it tells who somebody is, to its client.
    """

    def validate_bearer_token(self, token: str | None, scopes: Sequence[str], request: Request) -> bool:
        return good_access_token(token) is not None and bool(super().validate_bearer_token(token, scopes, request))

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Asked by django-oauth-toolkit's own token endpoint, where a host has it. SECURITY: what it gave would not end
        with the session. Ours are used at ours."""
        found: bool = super().validate_refresh_token(refresh_token, client, request, *args, **kwargs)
        return found and not is_ours(refresh_token)

    def validate_jwt_bearer_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        return False

    def validate_id_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        return False
