"""Ask for an address, then for the code."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import sessions, throttling
from ..conf import settings
from ..exceptions import Expired, InvalidCode, PasswordlessError, TooManyRequests, WrongBrowser
from ..flows import completion, identities, receipts, sign_in, ways_in
from ..forms import CodeForm, IdentifierForm
from ..models import Challenge
from .base import (
    Action,
    PageView,
    destination,
    display_name,
    recovered_context,
    safe_next,
    see_other,
    step_up_url,
    with_next,
)
from .passkey import after_message, session_of


def wait_url(challenge: Challenge, **extra: str) -> str:
    return f"{reverse('passwordless_auth:wait')}?{urlencode({'challenge': challenge.public_id, **extra})}"


def identities_url(notice: str = "", *, kind: str = "") -> str:
    """The page of a person's addresses, which says what was done (``notice``), and to which ``kind`` of address."""
    query = {"notice": notice, "of": kind if kind == "phone" else ""}
    kept = urlencode({name: value for name, value in query.items() if value})
    return f"{reverse('passwordless_auth:identities')}{'?' if kept else ''}{kept}"


def start_again(challenge: Challenge) -> Action:
    """One press, and the same address gets a new message."""
    url, fields = reverse("passwordless_auth:login"), {"identifier": challenge.canonical}
    if challenge.purpose == Challenge.Purpose.STEP_UP:
        url, fields = reverse("passwordless_auth:step_up"), {"action": "message"}
        if challenge.identity is not None:
            fields["identity"] = challenge.identity.public_id
        if challenge.sign_in is not None and challenge.sign_in.pending_until is not None:
            fields["sign_in"] = challenge.sign_in.public_id
    elif challenge.purpose == Challenge.Purpose.RECOVER:
        url, fields = reverse("passwordless_auth:recovery"), {**fields, "action": "send"}
    elif challenge.purpose == Challenge.Purpose.ADD_IDENTITY:
        url, fields = reverse("passwordless_auth:identities"), {**fields, "action": "add"}
    fields["next"] = safe_next(challenge.next_url)
    return Action(_("Send a new message"), url, "post", fields, primary=True)


@sensitive_variables("answer")
def after_answer(view: PageView, challenge: Challenge, answer: str, *, method: str, elsewhere: bool = False) -> str:
    """Give the answer to the flow that the message was for; returns where its browser goes on. Raises what that flow
    raises. ``elsewhere``: as in ``flows.sign_in.verify``."""
    if challenge.purpose == Challenge.Purpose.ADD_IDENTITY:
        if elsewhere:
            raise WrongBrowser  # the account is that of a session there
        session = session_of(view.request) if view.request.user.is_authenticated else None
        proven = identities.prove(challenge, answer, method=method, session=session, requester=view.requester)
        # Without one the page makes its offer.
        return identities_url("added", kind=proven.identity.kind) if proven.identity else identities_url()
    outcome = sign_in.verify(
        challenge,
        answer,
        method=method,
        requester=view.with_browser(),
        establish=partial(sessions.establish, view.request),
        elsewhere=elsewhere,
    )
    return after_message(view.request, challenge, outcome)


class LoginView(PageView):
    """One field: who are you. A POST sends the message and leads to the waiting page."""

    page = "login"
    form_class = IdentifierForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        initial = request.GET.get("identifier", "")[:254]
        page = self._page(self._form(initial={"identifier": initial}))
        if self.requester.browser_key or "passkey" not in settings.METHODS:
            return page
        # Now, and not with the first answer: the script asks for a challenge while the form may be on its way, and each
        # would be given a key of its own. The later one would make the other's challenge that of a stranger.
        self.with_browser()
        return self.keep_browser(page)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        form = self._form(request.POST)
        if not form.is_valid():
            return self._page(form, status=400, error_code="invalid_identifier")
        challenge = sign_in.start(
            form.cleaned_data["identifier"],
            requester=self.with_browser(),
            rules=self.errand.rules if self.errand else None,
            client_id=self.errand.client_id if self.errand else "",
            next_url=self.next_url(),
        )
        return self.keep_browser(see_other(wait_url(challenge)))

    def _form(self, data: Any = None, **kwargs: Any) -> IdentifierForm:
        return self.form_class(data, takes=self.errand.takes if self.errand else None, **kwargs)

    def _page(self, form: IdentifierForm, *, status: int = 200, error_code: str = "") -> HttpResponseBase:
        user = self.request.user
        return self.page_response(
            status=status,
            form=form,
            next=self.next_url(),
            error_code=error_code,
            signed_in_as=display_name(user) if user.is_authenticated else "",
            continue_url=destination(self.next_url()),
            passkeys="passkey" in settings.METHODS and (self.errand is None or "passkey" in self.errand.takes),
            recovered=recovered_context(self.request),
        )

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        """A message was sent not long ago: this browser can go on with it."""
        waiting = Challenge.objects.of_browser(self.requester).filter(state=Challenge.State.OPEN).first()
        typed = self.request.POST.get("identifier", "")[:254]
        if waiting is None or waiting.expires_at <= timezone.now():
            # A form by GET replaces the query of its URL.
            fields = {"identifier": typed, "next": self.next_url()}
            return [Action(_("Back to sign-in"), reverse("passwordless_auth:login"), "get", fields, primary=True)]
        other = Action(_("Change the address"), with_next(reverse("passwordless_auth:login"), self.next_url()))
        return [Action(_("Enter the code that was sent"), wait_url(waiting), primary=True), other]


class WaitView(PageView):
    """Where the message went, how it is, and the field for its code."""

    page = "wait"
    form_class = CodeForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.challenge()
        if challenge is None:
            return see_other(with_next(reverse("passwordless_auth:login"), self.next_url()))
        if onward := goes_on_at(self, challenge):
            return see_other(onward)
        sign_in.require_open(challenge, now=timezone.now())
        return self._page(challenge, self.form_class(length=challenge.code_length))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.challenge()
        if challenge is None:
            raise Expired
        form = self.form_class(request.POST, length=challenge.code_length)
        if not form.is_valid():
            sign_in.require_open(challenge, now=timezone.now(), method="one_time_code")
            return self._page(challenge, form, status=400, error_code=InvalidCode.code)
        try:
            onward = after_answer(self, challenge, form.cleaned_data["code"], method="one_time_code")
        except InvalidCode as refusal:
            form.add_error("code", refusal.detail)
            return self._page(challenge, form, status=400, error_code=refusal.code)
        return self.keep_browser(see_other(onward))

    def _page(
        self, challenge: Challenge, form: CodeForm, *, status: int = 200, error_code: str = ""
    ) -> HttpResponseBase:
        now = timezone.now()
        mailbox = challenge.identifier.mailbox
        seconds_left = max(0, math.floor((challenge.expires_at - now).total_seconds()))
        resend_seconds = seconds_to_resend(challenge)
        progress = receipts.progress(challenge, now=now)
        return self.page_response(
            status=status,
            error_code=error_code,
            form=form,
            address=challenge.identifier.display,
            by_phone=challenge.kind == "phone",
            challenge_id=challenge.public_id,
            accepts_code=challenge.accepts_code,
            accepts_link=challenge.accepts_link,
            code_length=challenge.code_length,
            code_is_numeric=challenge.code_alphabet == "digits",
            delivery_state=progress.state,
            delivery_at=progress.at,
            delivery_seconds=progress.seconds(now),
            trouble=progress.trouble,
            other_way=progress.other_way,
            other_ways=other_ways(challenge),
            expires_at=challenge.expires_at,
            seconds_left=seconds_left,
            resend_seconds=resend_seconds,
            can_resend=resend_seconds < seconds_left,
            tries_left=challenge.tries_left,
            mailbox={"name": mailbox[0], "url": mailbox[1]} if mailbox else None,
            status_url=f"{reverse('passwordless_auth:wait_status')}?challenge={challenge.public_id}",
            purpose=challenge.purpose,
            next=safe_next(challenge.next_url),
            passkeys=offers_passkey(challenge),
            notice="resent" if self.request.GET.get("notice") == "resent" else "",
        )

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return after_refused_challenge(self, refusal, self.subject)


def offers_passkey(challenge: Challenge) -> bool:
    """Whether who waits may use a passkey instead. Who recovers an account has lost theirs; and none proves an address.

    SECURITY: to who signs in it is offered whether the account has one or not. Who steps up has shown whose it is."""
    if challenge.purpose == Challenge.Purpose.STEP_UP:
        return challenge.user_id is not None and ways_in.has_passkey(challenge.user_id)
    return "passkey" in settings.METHODS and challenge.purpose == Challenge.Purpose.SIGN_IN


def other_ways(challenge: Challenge) -> list[Action]:
    """What somebody can do whose message does not come, beside a passkey and another address.

    SECURITY: what this site has, and not what this account has: whoever types an address would learn of it."""
    if challenge.purpose == Challenge.Purpose.STEP_UP:
        if challenge.sign_in is not None and challenge.sign_in.pending_until is not None:
            url = step_up_url(challenge.sign_in, challenge.next_url)
        else:
            url = with_next(reverse("passwordless_auth:step_up"), challenge.next_url)
        return [Action(_("Choose another way"), url)]
    # A recovery ends with a new passkey.
    if challenge.purpose == Challenge.Purpose.SIGN_IN and {"passkey", "recovery_code"} <= set(settings.METHODS):
        url = with_next(reverse("passwordless_auth:recovery"), challenge.next_url)
        return [Action(_("Use a recovery code"), url)]
    return []


def goes_on_at(view: PageView, challenge: Challenge) -> str | None:
    """Where this browser goes on after a challenge that was used, in another tab perhaps; ``None`` when nowhere."""
    if challenge.state != Challenge.State.SPENT:
        return None
    waiting = completion.waiting_after(challenge, requester=view.requester)
    if waiting is not None:
        return step_up_url(waiting, challenge.next_url)
    return destination(challenge.next_url) if view.request.user.is_authenticated else None


def after_refused_challenge(view: PageView, refusal: PasswordlessError, challenge: Challenge | None) -> list[Action]:
    """The next step after a message that no longer counts: for its own address, whatever else this browser waits
    for in another tab."""
    if challenge is not None and challenge.purpose == Challenge.Purpose.ADD_IDENTITY:
        return _after_refused_addition(refusal, challenge)
    login = Action(_("Use another address"), with_next(reverse("passwordless_auth:login"), view.next_url()))
    to_login = [replace(login, label=_("Go to sign-in"), primary=True)]
    if challenge is None:
        return to_login
    if refusal.code == "superseded" and (newest := _still_open(view, challenge)):
        return [Action(_("Go on with the newest message"), wait_url(newest), primary=True), login]
    if refusal.code == "spent" and view.request.user.is_authenticated:
        return [Action(_("Continue"), destination(challenge.next_url), primary=True)]
    if refusal.code == "spent":
        return to_login  # and whoever comes next to a shared computer is not told the address of who was here
    if refusal.code in {"disabled", "sign_up_closed", "step_up_required"}:  # a new message would end here again
        return [replace(login, primary=True)]
    if isinstance(refusal, TooManyRequests):
        return [Action(_("Back"), wait_url(challenge), primary=True), login]
    return [start_again(challenge), login]


def _after_refused_addition(refusal: PasswordlessError, challenge: Challenge) -> list[Action]:
    back = Action(_("Back to your addresses"), reverse("passwordless_auth:identities"))
    if refusal.code in {"expired", "superseded", "too_many_tries"}:
        return [start_again(challenge), back]
    if isinstance(refusal, TooManyRequests):
        return [Action(_("Back"), wait_url(challenge), primary=True), back]
    return [replace(back, primary=True)]


def _still_open(view: PageView, challenge: Challenge) -> Challenge | None:
    same = {"purpose": challenge.purpose, "canonical": challenge.canonical, "state": Challenge.State.OPEN}
    return Challenge.objects.of_browser(view.requester).filter(**same).first()


class ResendView(PageView):
    """POST: the same code and link once more."""

    page = "wait"
    http_method_names = ("post", "options")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.challenge()
        if challenge is None:
            raise Expired
        sign_in.resend(challenge, requester=self.requester)
        return see_other(wait_url(challenge, notice="resent"))

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return after_refused_challenge(self, refusal, self.subject)


class WaitStatusView(PageView):
    """GET: what the waiting page's script asks every few seconds."""

    page = "wait"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        challenge = self.challenge()
        if challenge is None:
            raise Expired
        now = timezone.now()
        progress = receipts.progress(challenge, now=now)
        return JsonResponse(
            {
                "state": _state_of(challenge, now),
                "delivery": progress.state,
                "delivery_seconds": progress.seconds(now),
                "trouble": progress.trouble,
                "other_way": progress.other_way,
                "seconds_left": max(0, math.floor((challenge.expires_at - now).total_seconds())),
                "resend_seconds": seconds_to_resend(challenge),
                "next": goes_on_at(self, challenge),
            }
        )

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        status = 404 if refusal.code == "expired" else 403
        return JsonResponse({"error": refusal.code, "detail": str(refusal.detail)}, status=status)


def _state_of(challenge: Challenge, now: Any) -> str:
    if challenge.state != Challenge.State.OPEN:
        return str(challenge.state)
    if not challenge.tries_left:
        return "dead"
    return "expired" if challenge.expires_at <= now else "open"


def seconds_to_resend(challenge: Challenge) -> int:
    known = challenge.browser_digest if challenge.from_known_browser else ""
    bucket = throttling.sends(challenge.identifier, known_browser=known)
    return throttling.used_up([bucket], now=timezone.now()).get(bucket.action, 0)
