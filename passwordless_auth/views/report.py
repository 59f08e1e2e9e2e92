"""The page behind "this wasn't me" in a notice. Opening the link changes nothing; one press stops everything."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import sessions
from ..conf import settings
from ..exceptions import NoLink, PasswordlessError
from ..flows import report, ways_in
from ..models import Challenge, Profile, RecoveryCode
from .base import Action, see_other, with_next
from .link import LinkPageView, LinkView


class ReportView(LinkView):
    """GET: take the token out of the address bar."""

    page = "report"
    confirm = "report_confirm"
    cookie = "passwordless_report"


class ReportConfirmView(LinkPageView):
    """GET says what changed, from where, and what a press will do; POST does it.

    SECURITY: in any browser, and signed in or not. Whoever reads this mailbox may be locked out of everything else; and
    a press can only take away, so that a stranger who has the link gains nothing.
    """

    page = "report"
    confirm = "report_confirm"
    cookie = "passwordless_report"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self._opened()
        return self.page_response(
            challenge_id=challenge.public_id,
            what=self._what(challenge),
            name=challenge.params.get("name", ""),
            address_masked=challenge.masked,
            asker=challenge.asker,
            asked_at=challenge.created_at,
            blocks=report.refuses_passkey(challenge),
            undoes=report.undoes(challenge),
            identity=challenge.params.get("identity", ""),
            by_operator=challenge.params.get("by_operator", False),
            is_sign_in=challenge.params.get("kind") == "new_browser",
            hours=settings.FREEZE_LIFETIME // 3600,
            again=request.GET.get("again") == "1",
            **self._done(challenge),
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self._opened()
        if request.POST.get("challenge") != challenge.public_id:
            # Another message was opened in this browser since the page was shown: show what would really be stopped.
            return self.get(request)
        stopped = report.stop(challenge, requester=self.requester)
        if stopped is None:
            return see_other(f"{self.confirm_url()}?again=1")
        here = sessions.facts_of(request)
        if here is not None and here["sign_in"] in stopped.sign_ins:
            sessions.log_out(request)  # it is gone from the server: this browser forgets it, too
        return see_other(self.confirm_url())

    @sensitive_variables()
    def _opened(self) -> Challenge:
        token = self.token()
        if not token:
            raise NoLink
        return report.opened(token)

    def _what(self, challenge: Challenge) -> str:
        """The subject of the notice: it says what changed, in one sentence."""
        context = {"site_name": settings.SITE_NAME, "facts": challenge.params, "name": challenge.params.get("name", "")}
        try:
            text = render_to_string(f"passwordless_auth/messages/{challenge.params.get('kind')}.subject.txt", context)
        except TemplateDoesNotExist:  # a host that sends notices of its own may have taken it away since
            return _("Your account has changed")
        return " ".join(text.split())

    def _done(self, challenge: Challenge) -> dict[str, Any]:
        """What the page says once the report was used: what it did, and what comes next."""
        if challenge.state != Challenge.State.SPENT:
            return {"done_at": None}
        user: Any = challenge.user
        return {
            "done_at": challenge.ended_at,
            "undone": challenge.params.get("undone", {}),
            "frozen_until": Profile.objects.of(user).frozen_until,
            "has_password": report.by_other_code(challenge) and user.has_usable_password(),
            # Whoever reads this mailbox would learn both by signing in.
            "has_passkey": ways_in.has_passkey(user),
            "has_codes": {"recovery_code", "passkey"} <= set(settings.METHODS)
            and RecoveryCode.objects.unused(user.pk).exists(),
            "signed_in": self.request.user.is_authenticated,
            "sessions_url": reverse("passwordless_auth:sessions"),
            "login_url": with_next(reverse("passwordless_auth:login"), reverse("passwordless_auth:passkeys")),
        }

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        sessions_url = reverse("passwordless_auth:sessions")
        return [Action(_("See where you are signed in"), sessions_url, primary=True)]
