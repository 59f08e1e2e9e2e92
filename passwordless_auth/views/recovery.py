"""Recovering an account, and preparing for the day when that is needed."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import derivation, sessions
from ..conf import settings
from ..exceptions import InvalidRecoveryCode, PasswordlessError, StepUpRequired
from ..flows import recovery, sign_in
from ..forms import IdentifierForm, RecoveryForm
from ..messages import Unprintable
from ..models import Challenge, Identity, Level
from .base import Action, PageView, display_name, is_recovered, see_other, with_next
from .passkey import session_of
from .sign_in import wait_url


class RecoveryView(PageView):
    """GET asks for an address and a recovery code. POST recovers the account; with ``action=send`` it sends a message
    to the address instead, whose code or link does the same.

    Not there where a recovery could lead to nothing: it ends with a new passkey.
    """

    page = "recovery"
    form_class = RecoveryForm
    address_form_class = IdentifierForm

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        _require_passkeys()

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self._page(self.form_class(initial={"identifier": request.GET.get("identifier", "")[:254]}))

    @sensitive_variables()
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.POST.get("action") == "send":
            return self._send()
        form = self.form_class(request.POST)
        if not form.is_valid():
            return self._page(form, status=400, error_code=_first_error(form))
        try:
            recovery.by_code(
                form.cleaned_data["identifier"],
                form.cleaned_data["code"] if "recovery_code" in settings.METHODS else "",
                requester=self.with_browser(),
                establish=partial(sessions.establish, request),
            )
        except InvalidRecoveryCode as refusal:
            form.add_error("code", refusal.detail)
            return self._page(form, status=400, error_code=refusal.code)
        return self.keep_browser(see_other(self._after()))

    def _send(self) -> HttpResponseBase:
        form = self.address_form_class(self.request.POST)
        if not form.is_valid():
            return self._page(form, status=400, error_code="invalid_identifier")
        challenge = sign_in.start(
            form.cleaned_data["identifier"],
            requester=self.with_browser(),
            purpose=Challenge.Purpose.RECOVER,
            next_url=self._after(),
        )
        return self.keep_browser(see_other(wait_url(challenge)))

    def _after(self) -> str:
        """The page where a passkey is added, which then leads to where the person wanted to go."""
        return with_next(reverse("passwordless_auth:passkeys"), self.next_url())

    def _page(self, form: IdentifierForm, *, status: int = 200, error_code: str = "") -> HttpResponseBase:
        user = self.request.user
        whole = user.is_authenticated and not is_recovered(self.request)
        return self.page_response(
            status=status,
            error_code=error_code,
            form=form,
            next=self.next_url(),
            accepts_recovery_code="recovery_code" in settings.METHODS,
            signed_in_as=display_name(user) if whole else "",
        )

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        back = with_next(reverse("passwordless_auth:recovery"), self.next_url())
        return [Action(_("Back to recovery"), back, primary=True)]


def _require_passkeys() -> None:
    if "passkey" not in settings.METHODS:
        raise Http404


def _first_error(form: RecoveryForm) -> str:
    return "invalid_identifier" if "identifier" in form.errors else "invalid_code"


class RecoveryCodesView(PageView):
    """GET tells how many recovery codes are left, and which addresses may recover the account. POST makes new codes and
    shows them, this once; with ``action=addresses`` it keeps which addresses (``identity``, public ids) may recover."""

    page = "recovery_codes"
    for_members = True

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        _require_passkeys()

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self._page()

    @sensitive_variables()
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = session_of(request)
        if request.POST.get("action") == "addresses":
            chosen = request.POST.getlist("identity")
            recovery.choose_addresses(session, chosen, requester=self.requester)
            return see_other(f"{reverse('passwordless_auth:recovery_codes')}?notice=addresses")
        if "recovery_code" not in settings.METHODS:
            raise Http404
        codes = recovery.make_codes(session, requester=self.requester)
        return self._page([Unprintable(derivation.grouped(code)) for code in codes])

    @sensitive_variables()
    def _page(self, codes: list[Unprintable] | None = None) -> HttpResponseBase:
        identities = Identity.objects.filter(user=self.member).exclude(proven_at=None).main_first()
        kept = recovery.codes_of(self.member)
        return self.page_response(
            codes=codes or [],
            uses_codes="recovery_code" in settings.METHODS,
            count=settings.RECOVERY_CODE_COUNT,
            total=kept.total,
            left=kept.left,
            few=kept.left <= recovery.FEW,
            made_at=kept.made_at,
            identities=[
                {"public_id": row.public_id, "address": row.identifier.display, "for_recovery": row.for_recovery}
                for row in identities
            ],
            recovers_by_address=recovery.recovers_by_address(self.member),
            may_prepare=recovery.may_prepare(session_of(self.request)),
            step_up_url=self._step_up_url(),
            site_address=settings.BASE_URL + reverse("passwordless_auth:recovery"),
            notice="addresses" if self.request.GET.get("notice") == "addresses" else "",
        )

    def _step_up_url(self) -> str:
        query = {"next": reverse("passwordless_auth:recovery_codes")}
        level = recovery.level_to_prepare(self.member)
        if level.meets(Level.MULTI):
            query["level"] = level
        return f"{reverse('passwordless_auth:step_up')}?{urlencode(query)}"

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        if isinstance(refusal, StepUpRequired) and not is_recovered(self.request):
            return [Action(_("Confirm that it is you"), self._step_up_url(), primary=True)]
        return super().actions_after(refusal)
