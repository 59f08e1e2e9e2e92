"""The authentication backend of sessions that this app makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.backends import ModelBackend

if TYPE_CHECKING:
    from django.http import HttpRequest


class SignInBackend(ModelBackend):
    """Loads users and answers for their permissions, as ``ModelBackend`` does; knows no passwords.

    ``get_user`` refuses users that are not active, so deactivating one ends all access at the next request.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:  # type: ignore[override]
        """Never: a person is signed in by a flow, not by credentials that any code may hand in."""
        return
