"""Confirm that it is you: one page for a session whose proof is too old or too weak, and for a sign-in that waits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import kept_form, sessions
from ..conf import settings
from ..exceptions import (
    FormGone,
    InvalidCode,
    PasswordlessError,
    StepUpRequired,
    TooManyRequests,
    TooManyTries,
    WaitedTooLong,
)
from ..flows import completion, enrolment, sign_in, step_up, totp
from ..forms import AppCodeForm
from ..models import Challenge, Level, Passkey, SignIn
from .base import STATUS, Action, PageView, after, destination, display_name, see_other, with_next
from .passkey import session_of
from .sign_in import wait_url


@dataclass(frozen=True)
class Asked:
    """Who has to confirm what. ``sign_in`` is ``None`` in a session that other code made."""

    user: Any
    sign_in: SignIn | None
    level: Level

    @property
    def waits(self) -> bool:
        return self.sign_in is not None and self.sign_in.pending_until is not None


class StepUpView(PageView):
    """GET says what is needed and offers what this person has for it. POST takes one of it: ``action`` is ``message``
    (send one, and go to the waiting page; ``identity`` names another address than the first) or ``totp`` (with
    ``code``).

    Query or fields: ``sign_in``, the public id of a sign-in that waits in this browser; without it the session of this
    browser is meant. ``level``, what somebody asks for, and ``since`` (seconds since 1970), the moment that the proof
    has to be newer than: only wishes, since whoever asked looks again.
    """

    page = "step_up"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self._named() and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        asked = self._asked()
        if asked is None or (not asked.waits and self._is_recent(asked)):
            return see_other(destination(self.next_url()))
        return self._page(asked, AppCodeForm())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self._named() and not request.user.is_authenticated:
            return redirect_to_login(self._here())
        asked = self._asked()
        if asked is None:
            return see_other(destination(self.next_url()))
        if request.POST.get("action") == "totp":
            return self._answer(asked)
        return self._send(asked)

    # -- who, and what

    def _named(self) -> str:
        return self.request.POST.get("sign_in") or self.request.GET.get("sign_in") or ""

    def _asked(self) -> Asked | None:
        """Who has to confirm what; ``None`` when a sign-in waits no more, since it is this browser's session by now."""
        named = self._named()
        if named:
            return self._of_waiting(named)
        level = max(self._wish(), sessions.minimum_of(self.request), key=lambda each: each.rank)
        return Asked(self.member, sessions.current(self.request), level)

    def _of_waiting(self, named: str) -> Asked | None:
        waiting = completion.waiting(named, requester=self.requester)
        if waiting is not None:
            return Asked(waiting.user, waiting, Level(waiting.minimum_level))
        here = sessions.current(self.request)
        if here is not None and here.public_id == named:
            return None  # completed in another tab
        raise WaitedTooLong

    def _wish(self) -> Level:
        wish = self.request.POST.get("level") or self.request.GET.get("level") or ""
        return Level(wish) if wish in Level.values else Level.SINGLE

    def _since(self) -> str:
        since = self.request.POST.get("since") or self.request.GET.get("since") or ""
        return since if re.fullmatch(r"[0-9]{1,12}", since, re.ASCII) else ""

    def _is_recent(self, asked: Asked) -> bool:
        return sessions.is_recent(self.request, asked.level, since=int(self._since() or 0))

    def _here(self) -> str:
        """This page, with what it was asked."""
        query = {
            "sign_in": self._named(),
            "level": self._wish(),
            "since": self._since(),
            "next": self.next_url(),
        }
        if not self._wish().meets(Level.MULTI):
            del query["level"]
        kept = urlencode({name: value for name, value in query.items() if value})
        return f"{reverse('passwordless_auth:step_up')}{'?' if kept else ''}{kept}"

    # -- the page

    def _page(self, asked: Asked, form: AppCodeForm, *, status: int = 200, error_code: str = "") -> HttpResponseBase:
        means = step_up.means_for(asked.user, asked.sign_in, asked.level)
        may_enrol = not means and self._may_enrol(asked)
        stuck = not means and not may_enrol
        waiting = asked.sign_in.public_id if asked.sign_in is not None and asked.waits else ""
        query = {"sign_in": waiting} if waiting else {}
        return self.page_response(
            status=403 if stuck else status,
            error_code=StepUpRequired.code if stuck else error_code,
            display=display_name(asked.user),
            level=asked.level,
            waiting=waiting,
            wish=self._wish() if self._wish().meets(Level.MULTI) else "",
            since=self._since(),
            next=self.next_url(),
            form=form,
            passkey=means.passkey,
            totp=means.totp,
            message=bool(means.addresses),
            message_first=means.message_first,
            address_masked=means.addresses[0].masked if means.addresses else "",
            by_phone=bool(means.addresses) and means.addresses[0].kind == "phone",
            other_addresses=[{"public_id": each.public_id, "masked": each.masked} for each in means.addresses[1:]],
            accepts_code="one_time_code" in settings.METHODS,
            may_enrol=may_enrol,
            may_begin_again=stuck and not asked.waits and not Passkey.objects.filter(user=asked.user).exists(),
            again_url=with_next(reverse("passwordless_auth:login"), self.next_url()),
            recovery=(stuck or asked.waits) and "passkey" in settings.METHODS,
            is_session=asked.sign_in is not None,
            register_options_url=_url("passkey_register_options", query),
            register_url=_url("passkey_register", query),
            here=self._here(),
        )

    def _may_enrol(self, asked: Asked) -> bool:
        """Whether this person may add a passkey here, and then confirm with it."""
        if "passkey" not in settings.METHODS:
            return False
        waiting = enrolment.session_of(asked.sign_in) if asked.sign_in is not None and asked.waits else None
        try:
            enrolment.require_may_add(waiting or session_of(self.request))
        except StepUpRequired:
            return False
        return True

    # -- what the person does

    def _send(self, asked: Asked) -> HttpResponseBase:
        means = step_up.means_for(asked.user, asked.sign_in, asked.level)
        address = means.address(self.request.POST.get("identity", ""))
        if address is None:
            # SECURITY: a mailbox proves no second factor, and is not asked as if it did (MF-01).
            return self._page(asked, AppCodeForm(), status=403, error_code=StepUpRequired.code)
        challenge = sign_in.start(
            address.identifier,
            requester=self.with_browser(),
            purpose=Challenge.Purpose.STEP_UP,
            next_url=self._here() if means.message_first else self.next_url(),
            sign_in=asked.sign_in,
        )
        return self.keep_browser(see_other(wait_url(challenge)))

    @sensitive_variables()
    def _answer(self, asked: Asked) -> HttpResponseBase:
        form = AppCodeForm(self.request.POST)
        if asked.sign_in is None or not step_up.means_for(asked.user, asked.sign_in, asked.level).totp:
            return self._page(asked, AppCodeForm(), status=403, error_code=StepUpRequired.code)
        if not form.is_valid():
            return self._page(asked, form, status=400, error_code=InvalidCode.code)
        try:
            outcome = totp.answer(
                asked.sign_in,
                form.cleaned_data["code"],
                requester=self.with_browser(),
                establish=partial(sessions.establish, self.request),
                next_url=self.next_url(),
            )
        except (InvalidCode, TooManyTries) as refusal:
            # The next press asks anew, until the account's limit is reached.
            form.add_error("code", form.refusal.detail)
            return self._page(asked, form, status=STATUS[refusal.code], error_code=refusal.code)
        return self.keep_browser(see_other(after(outcome)))

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        if isinstance(refusal, TooManyRequests):
            return [Action(_("Back"), self._here(), primary=True)]  # there may be other means
        return super().actions_after(refusal)


def _url(name: str, query: dict[str, str]) -> str:
    kept = urlencode({key: value for key, value in query.items() if value})
    return f"{reverse(f'passwordless_auth:{name}')}{'?' if kept else ''}{kept}"


class ResumeView(PageView):
    """GET shows, once, the form that was sent to a guarded view before its sender had confirmed who they are; its one
    button sends it again, with a new token."""

    page = "resume"
    for_members = True
    http_method_names = ("get", "options")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        form = kept_form.take(request, request.GET.get("form", ""))
        if form is None:
            raise FormGone
        return self.page_response(
            path=form.path,
            fields=form.fields,
            enctype="multipart/form-data" if form.multipart else "application/x-www-form-urlencoded",
            lost=form.lost,
        )

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        if isinstance(refusal, FormGone):
            return [Action(_("Go to your account"), reverse("passwordless_auth:account"), primary=True)]
        return super().actions_after(refusal)
