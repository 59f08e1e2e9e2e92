"""A passkey on another device: the page that shows the code, and the pages of the device that opens it."""

from __future__ import annotations

import math
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..decorators import to_step_up
from ..exceptions import ChangesStopped, NoLink, PasswordlessError, SameBrowser, StepUpRequired, WrongNumber
from ..flows import other_device
from ..messages import link_url
from ..models import Challenge, Level
from .base import Action, PageView, display_name, see_other
from .endpoint import JsonView
from .link import LinkPageView, LinkView
from .passkey import session_of

_TITLES: Final = {
    "superseded": gettext_lazy("This was stopped"),
    "too_many_tries": gettext_lazy("Too many wrong numbers"),
}


def seconds_left(challenge: Challenge) -> int:
    return max(0, math.floor((challenge.expires_at - timezone.now()).total_seconds()))


def qr_code(url: str) -> SafeString:
    """An inline SVG. Dark modules on light in every color scheme, and four modules of quiet zone around them, or many
    cameras see no code (ISO/IEC 18004)."""
    import segno

    drawn = segno.make(url, error="m", micro=False).svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, svgclass="pa-qr", lineclass=None, title=_("QR code")
    )
    return mark_safe(drawn)  # noqa: S308 (drawn by segno from a URL of ours; the title is escaped)


# -- the first device


class OtherDeviceView(PageView):
    """GET shows the code of this session, or how it goes. POST (``action``): ``start`` makes a new one, ``approve``
    takes the ``number`` that the new device shows, ``deny`` stops it."""

    page = "other_device"
    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self._page(other_device.of_session(session_of(request)))

    @sensitive_variables("session")
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = session_of(request)
        action = request.POST.get("action", "start")
        if action == "start":
            other_device.start(session, requester=self.requester)
            return self._again()
        challenge = other_device.of_session(session)
        if challenge is None or challenge.public_id != request.POST.get("challenge"):
            return self._again()  # another tab has made a newer one: show that
        if action == "deny":
            other_device.deny(challenge, session=session, requester=self.requester)
        elif action == "approve":
            number = request.POST.get("number", "")
            try:
                other_device.approve(challenge, number, session=session, requester=self.requester)
            except WrongNumber as refusal:
                return self._page(challenge, status=400, error_code=refusal.code, error=refusal.detail)
        return self._again()

    def _again(self) -> HttpResponseBase:
        return see_other(reverse("passwordless_auth:other_device"))

    def _page(
        self, challenge: Challenge | None, *, status: int = 200, error_code: str = "", error: Any = ""
    ) -> HttpResponseBase:
        return self.page_response(
            status=status,
            error_code=error_code,
            error=error,
            minutes=math.ceil(settings.ENROLMENT_LIFETIME / 60),
            **self._shown(challenge),
        )

    @sensitive_variables()
    def _shown(self, challenge: Challenge | None) -> dict[str, Any]:
        if challenge is None:
            return {"step": "", "challenge_id": ""}
        step = other_device.step_of(challenge, now=timezone.now()).name
        url = link_url(challenge.link_token(), page="enrol") if step == "shown" else ""
        return {
            "step": step,
            "challenge_id": challenge.public_id,
            "url": url,
            "qr": qr_code(url) if url else "",
            "asker": challenge.asker,
            "tries_left": challenge.tries_left,
            "number_length": challenge.code_length,
            "seconds_left": seconds_left(challenge),
        }

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        if isinstance(refusal, StepUpRequired) and not isinstance(refusal, ChangesStopped):
            return to_step_up(self.request, Level.MULTI)
        return super().refuse(refusal)

    def title_of(self, refusal: PasswordlessError) -> Any:
        return _TITLES.get(refusal.code) or super().title_of(refusal)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return [Action(_("Back"), reverse("passwordless_auth:other_device"), primary=True)]


class OtherDeviceStatusView(PageView):
    """GET: what the script of the first device's page asks."""

    page = "other_device"
    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = other_device.of_session(session_of(request))
        return JsonResponse(_status(challenge))


def _status(challenge: Challenge | None) -> dict[str, Any]:
    if challenge is None:
        return {"step": "", "seconds_left": 0}
    return {
        "step": other_device.step_of(challenge, now=timezone.now()).name,
        "seconds_left": seconds_left(challenge),
    }


# -- the new device


class EnrolPageView(LinkPageView):
    """What the new device opens. The token travels in a cookie of this path, to the endpoints below it as well."""

    page = "enrol"
    confirm = "enrol_confirm"
    cookie = "passwordless_enrol"

    @sensitive_variables()
    def opened(self) -> Challenge:
        """The request that this browser was invited to. Raises NoLink, and what ``other_device.opened`` raises."""
        token = self.token()
        if not token:
            raise NoLink
        return other_device.opened(token)

    def title_of(self, refusal: PasswordlessError) -> Any:
        if isinstance(refusal, SameBrowser):
            return _("Open it on the other device")
        return _TITLES.get(refusal.code) or super().title_of(refusal)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        if isinstance(refusal, SameBrowser):
            return [Action(_("Back"), reverse("passwordless_auth:other_device"), primary=True)]
        return super().actions_after(refusal)


class EnrolView(EnrolPageView, LinkView):
    """GET: take the token out of the address bar."""


class EnrolConfirmView(EnrolPageView):
    """GET says for which account, then shows the number, then offers to add the passkey; POST claims the request for
    this browser.

    SECURITY: opening the code alone does nothing, and a claim alone does nothing either. Who photographs the code from
    behind can claim it, and then shows a number that nobody types.
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.opened()
        other_device.require_mine(challenge, requester=self.requester)
        step = other_device.step_of(challenge, now=timezone.now())
        if step.name != "added":
            other_device.require_running(challenge, now=timezone.now())
        return self._page(challenge, step.name)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.opened()
        if request.POST.get("challenge") != challenge.public_id:
            return self.get(request)  # another code was opened in this browser since the page was shown
        other_device.claim(challenge, requester=self.with_browser())
        return self.keep_browser(see_other(self.confirm_url()))

    @sensitive_variables()
    def _page(self, challenge: Challenge, step: str) -> HttpResponseBase:
        user = self.request.user
        return self.page_response(
            step=step,
            challenge_id=challenge.public_id,
            address_masked=challenge.masked if challenge.canonical else "",
            signed_in_as=display_name(user) if user.is_authenticated and user.pk != challenge.user_id else "",
            number=other_device.number_of(challenge, requester=self.requester) if step == "claimed" else "",
            seconds_left=seconds_left(challenge),
        )


class EnrolStatusView(EnrolPageView):
    """GET: what the script of the new device's page asks."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.opened()
        other_device.require_mine(challenge, requester=self.requester)
        return JsonResponse(_status(challenge))

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        return JsonResponse({"error": refusal.code, "detail": str(refusal.detail)}, status=403)


class EnrolOptionsView(JsonView, EnrolPageView):
    """POST ``/enrol/options/``: ``PublicKeyCredentialCreationOptionsJSON`` for the device that was approved."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return JsonResponse(other_device.creation_options(self.opened(), requester=self.requester))


class EnrolRegisterView(JsonView, EnrolPageView):
    """POST ``/enrol/register/``: a ``RegistrationResponseJSON``; answers ``{"next": url, "passkey": {"id", "name"}}``.
    Query: ``name``."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        row = other_device.register(
            self.body(), self.opened(), requester=self.requester, name=request.GET.get("name", "")
        )
        return JsonResponse({"next": self.confirm_url(), "passkey": {"id": row.public_id, "name": row.name}})
