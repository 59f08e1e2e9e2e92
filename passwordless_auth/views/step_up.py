"""Confirm that it is you: a fresh message to the primary address of who is signed in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase

from .. import sessions
from ..conf import settings
from ..exceptions import StepUpRequired
from ..flows import sign_in, step_up
from ..models import Challenge
from .base import PageView, destination, see_other
from .sign_in import wait_url


class StepUpView(PageView):
    """GET explains, POST sends the message and leads to the waiting page."""

    page = "step_up"
    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if sessions.is_recent(request):
            return see_other(destination(self.next_url()))
        return self.page_response(
            address_masked=self._identity().masked,
            next=self.next_url(),
            accepts_code="one_time_code" in settings.METHODS,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = sign_in.start(
            self._identity().identifier,
            requester=self.with_browser(),
            purpose=Challenge.Purpose.STEP_UP,
            next_url=self.next_url(),
            sign_in=sessions.current(request),
        )
        return self.keep_browser(see_other(wait_url(challenge)))

    def _identity(self) -> Any:
        identity = step_up.identity_for(self.member)
        if identity is None:
            raise StepUpRequired  # there is no address to ask
        return identity
