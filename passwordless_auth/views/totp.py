"""The pages of a person's authenticator app."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import sessions
from ..conf import settings
from ..decorators import to_step_up
from ..exceptions import ChangesStopped, InvalidCode, PasswordlessError, StepUpRequired
from ..flows import enrolment, totp, ways_in
from ..forms import AppCodeForm
from ..models import Level, Totp
from .base import STATUS, Action, PageView, is_recovered, see_other
from .other_device import qr_code
from .passkey import session_of

NOTICES: Final = frozenset({"added", "removed"})


class TotpPageView(PageView):
    """A page about the authenticator app of who is signed in."""

    page = "totp"
    for_members = True

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if "totp" not in settings.METHODS:
            raise Http404

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        # Against these no confirmation of this session helps.
        stopped = isinstance(refusal, ChangesStopped) or is_recovered(self.request)
        if isinstance(refusal, StepUpRequired) and not stopped and not sessions.is_recent(self.request, Level.MULTI):
            return to_step_up(self.request, Level.MULTI)
        return super().refuse(refusal)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return [Action(_("Back"), reverse("passwordless_auth:totp"), primary=True)]


class TotpView(TotpPageView):
    """GET tells whether an app is set up. POST changes that, by ``action``: ``begin`` (shows a key, once), ``confirm``
    (``setup`` and ``code``), ``remove``."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        notice = request.GET.get("notice", "")
        return self._page(notice=notice if notice in NOTICES else "")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        action = request.POST.get("action", "")
        if action == "begin":
            return self._shown(totp.begin(session_of(request)), AppCodeForm())
        if action == "confirm":
            return self._confirm()
        if action == "remove":
            totp.remove(session_of(request), requester=self.requester)
            return self._done("removed")
        return see_other(reverse("passwordless_auth:totp"))

    @sensitive_variables()
    def _confirm(self) -> HttpResponseBase:
        session, setup = session_of(self.request), self.request.POST.get("setup", "")
        form = AppCodeForm(self.request.POST)
        error_code = InvalidCode.code
        if form.is_valid():
            try:
                totp.confirm(
                    session,
                    setup,
                    form.cleaned_data["code"],
                    requester=self.requester,
                    establish=partial(sessions.establish, self.request),
                )
            except InvalidCode as refusal:
                form.add_error("code", refusal.detail)
                error_code = refusal.code
            else:
                return self._done("added")
        return self._shown(totp.setup_of(session, setup), form, status=STATUS[error_code], error_code=error_code)

    def _done(self, notice: str) -> HttpResponseBase:
        return see_other(f"{reverse('passwordless_auth:totp')}?notice={notice}")

    def _page(self, **context: Any) -> HttpResponseBase:
        row = totp.current(self.member)
        return self.page_response(
            app=shown(row) if row else None,
            may_change=self._may_change(),
            **context,
        )

    def _may_change(self) -> bool:
        try:
            totp.require_may_add(session_of(self.request))
        except StepUpRequired:
            return False
        return True

    @sensitive_variables()
    def _shown(
        self, setup: totp.Setup, form: AppCodeForm, *, status: int = 200, error_code: str = ""
    ) -> HttpResponseBase:
        return self.page_response(
            page="totp",
            status=status,
            error_code=error_code,
            setup=setup.public_id,
            key=setup.key,
            uri=setup.uri,
            qr=qr_code(setup.uri),
            form=form,
        )


class TotpRemoveView(TotpPageView):
    """GET asks whether the app is to be removed. Whoever may not do that yet proves who they are first, and comes back
    here."""

    template_name = "passwordless_auth/totp_remove.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        row = totp.current(self.member)
        if row is None:
            return see_other(reverse("passwordless_auth:totp"))
        enrolment.require_may_change(session_of(request))
        return self.page_response(app=shown(row), only_one=not ways_in.has_passkey(self.member))


def shown(row: Totp) -> dict[str, Any]:
    """An app as pages show it."""
    return {"created_at": row.created_at, "last_used_at": row.last_used_at, "blocked_at": row.blocked_at}
