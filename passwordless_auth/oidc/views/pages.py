"""Pages that Clients send people to."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.utils.translation import get_supported_language_variant
from django.utils.translation import gettext as _
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from ...views.base import PageView


class ClientPage(PageView):
    """A page that a Client sends people to, with parameters."""

    def tell_person(self, error: OAuth2Error) -> HttpResponseBase:
        """SECURITY: nothing goes to an address that the Client did not register: the person is told, here."""
        return self.page_response(
            page="error",
            status=400,
            error_code=error.error,
            title=_("This request is not in order"),
            text=_(
                "The application that sent you here did not ask as it should. Please go back to it; if this happens "
                "again, tell those who run it."
            ),
            detail=error.description,
            actions=[],
        )


def language_of(ui_locales: str) -> str | None:
    """The first of these languages that the site speaks (OpenID Connect Core §3.1.2.1, BCP 47); ``None``: as always."""
    for tag in ui_locales.split()[:10]:
        try:
            return get_supported_language_variant(tag.lower()[:20])
        except LookupError:
            continue
    return None
