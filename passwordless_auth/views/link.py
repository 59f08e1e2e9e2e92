"""The link of a message. Opening it changes nothing: mail scanners, previews and prefetchers open links."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import derivation
from ..conf import settings
from ..exceptions import Expired, InvalidLink, NoLink, PasswordlessError, Spent
from ..flows import sign_in
from ..forms import IdentifierForm
from ..methods import METHODS
from ..models import Challenge
from ..models.challenge import message_named, message_to_show
from .base import Action, PageView, see_other
from .sign_in import after_answer, after_refused_challenge

#: Seconds that a browser keeps the token of an opened link. The challenge's own life is what counts.
COOKIE_AGE: Final = 900


class LinkPageView(PageView):
    """Pages behind a link say ``no-referrer`` to whatever they load. Their ``<meta name="referrer">`` (base.html) lets
    the form on them name its origin, or CSRF protection would refuse it."""

    page = "link"
    #: URL name of the page behind the link.
    confirm: ClassVar[str] = "link_confirm"
    #: The cookie that carries the token from the link to that page, and to nothing beside it.
    cookie: ClassVar[str] = "passwordless_link"

    def cookie_name(self) -> str:
        return f"{'__Secure-' if settings.is_https else ''}{self.cookie}"

    def confirm_url(self) -> str:
        return reverse(f"passwordless_auth:{self.confirm}")

    def with_token(self, response: HttpResponseBase, token: str) -> HttpResponseBase:
        response.set_cookie(
            self.cookie_name(),
            token,
            max_age=COOKIE_AGE,
            path=self.confirm_url(),
            secure=settings.is_https,
            httponly=True,
            samesite="Lax",
        )
        return response

    def token(self) -> str:
        """The token of the link that this browser opened, "" without one."""
        return self.request.COOKIES.get(self.cookie_name(), "")

    def without_token(self, response: HttpResponseBase) -> HttpResponseBase:
        response.delete_cookie(self.cookie_name(), path=self.confirm_url())
        return response

    def _secured(self, response: HttpResponseBase) -> HttpResponseBase:
        response.headers["Referrer-Policy"] = "no-referrer"
        return super()._secured(response)


class LinkView(LinkPageView):
    """GET: take the token out of the address bar, at once, before any page is shown.

    SECURITY: a URL ends up in histories, screenshots, access logs and the next page's Referer; a cookie of this path
    does not.
    """

    @sensitive_variables()
    def get(self, request: HttpRequest, token: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if derivation.public_id_of(token) is None:
            raise InvalidLink
        return self.with_token(see_other(self.confirm_url()), token)


class LinkConfirmView(LinkPageView):
    """The page behind a link, and the POST that spends it.

    In the browser that asked (and for a link that no browser asked for) one button signs in. Anywhere else the page
    says who asked, and signing in here takes the address first: so neither a scanner that presses every button nor
    somebody who was sent an attacker's link ends up signed in.
    """

    form_class = IdentifierForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge, _token = self._opened()
        if self._is_here(challenge):
            return self._page_here(challenge)
        return self._page_elsewhere(challenge, self.form_class())

    @sensitive_variables()
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge, token = self._opened()
        if request.POST.get("challenge") != challenge.public_id:
            # Another link was opened in this browser since the page was shown: show what would really be signed in.
            return self.get(request)
        here = self._is_here(challenge)
        if not here:
            form = self.form_class(request.POST)
            if not form.is_valid() or form.cleaned_data["identifier"] != challenge.identifier:
                if not form.errors:
                    form.add_error("identifier", _("That is not the address that this message was sent to."))
                return self._page_elsewhere(challenge, form, status=400, error_code="invalid_identifier")
        if request.POST.get("action") == "deny":
            sign_in.deny(challenge, requester=self.requester)
            return self.without_token(self.page_response(page="denied", address_masked=challenge.masked))
        self.with_browser()
        onward = after_answer(self, challenge, token, method="magic_link", elsewhere=not here)
        return self.without_token(self.keep_browser(see_other(onward)))

    @sensitive_variables()
    def _opened(self) -> tuple[Challenge, str]:
        """The challenge whose link this browser opened, and the token. Raises why it can't be used."""
        token = self.token()
        public_id = derivation.public_id_of(token)
        # A page shows the message; a POST makes a sign-in of it.
        read = message_named if self.request.method == "POST" else message_to_show
        challenge = read(public_id=public_id) if public_id else None
        if challenge is None:
            raise Expired if public_id else NoLink
        if challenge.asked_by(self.requester):
            self.subject = challenge
        METHODS["magic_link"].check(challenge, token, now=timezone.now())  # a wrong link learns nothing of the row
        try:
            sign_in.require_open(challenge, now=timezone.now(), method="magic_link")
        except Spent:
            if self.request.method == "POST":  # scanners open a link long after it was used
                sign_in.note_replay(challenge, requester=self.requester)
            raise
        return challenge, token

    def _is_here(self, challenge: Challenge) -> bool:
        return challenge.asked_by(self.requester) or not challenge.browser_digest

    def _page_here(self, challenge: Challenge) -> HttpResponseBase:
        return self.page_response(
            address=challenge.identifier.display,
            challenge_id=challenge.public_id,
            auto_submit=challenge.asked_by(self.requester),
            purpose=challenge.purpose,
            passkeys="passkey" in settings.METHODS and challenge.purpose != Challenge.Purpose.ADD_IDENTITY,
        )

    def _page_elsewhere(
        self, challenge: Challenge, form: IdentifierForm, *, status: int = 200, error_code: str = ""
    ) -> HttpResponseBase:
        return self.page_response(
            page="link_elsewhere",
            status=status,
            error_code=error_code,
            address_masked=challenge.masked,
            asked_at=challenge.created_at,
            asker=challenge.asker,
            challenge_id=challenge.public_id,
            form=form,
            accepts_code=challenge.accepts_code,
            purpose=challenge.purpose,
            can_sign_in_here=challenge.purpose == Challenge.Purpose.SIGN_IN,
            passkeys="passkey" in settings.METHODS,
        )

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return after_refused_challenge(self, refusal, self.subject)
