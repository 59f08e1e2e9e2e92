"""``/account/applications/``: what a person has let Clients do, and how they take it back."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from ...views.base import PageView, see_other
from .. import clients
from ..flows import access
from .scopes import said_of


class ApplicationsView(PageView):
    """GET lists the Clients that this person has allowed something; POST takes it back from one (``application``: its
    ``client_id``).

    No recent sign-in is asked for: who takes rights away does no harm that a new consent would not mend.
    """

    page = "applications"
    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rows = [
            {
                "client_id": each.application.client_id,
                "name": each.application.name or each.application.client_id,
                "home": each.look.client_uri,
                "scopes": said_of(each.scopes),
                "since": each.since,
                "last_used": each.last_used,
            }
            for each in access.of_person(self.member)
        ]
        return self.page_response(applications=rows)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        application = clients.load(request.POST.get("application", ""))
        if application is not None:
            access.revoke(self.member, application, requester=self.requester)
        return see_other(reverse("passwordless_auth_oidc:applications"))
