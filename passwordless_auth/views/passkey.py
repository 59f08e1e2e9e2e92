"""Passkeys over HTTP: JSON for the two ceremonies, and the page that keeps house."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.generic.base import View

from .. import sessions
from ..conf import settings
from ..decorators import to_step_up
from ..exceptions import (
    ChangesStopped,
    InvalidBody,
    InvalidIdentifier,
    PasswordlessError,
    StepUpRequired,
)
from ..flows import accounts, completion, enrolment, passkey, ways_in
from ..identifiers import PUBLIC_ID, accept
from ..methods import passkey as webauthn
from ..models import Challenge, Level, Passkey, Profile, SignIn
from ..requester import Requester
from .base import STATUS, Action, PageView, after, destination, recovered_context, see_other
from .endpoint import JsonView


def session_of(request: HttpRequest) -> enrolment.Session:
    """What this request's session may change about its account; without a query."""
    facts = sessions.facts_of(request)
    user: Any = request.user
    if facts is None:
        by_password = user.has_usable_password() and sessions.begun_by_other_code(request) > 0
        return enrolment.Session(
            user, None, None, sessions.begun_by_other_code(request), strong_time=0, by_password=by_password
        )
    return enrolment.Session(
        user=user,
        sign_in_id=facts["sign_in"],
        level=Level(facts["level"]),
        created_at=facts["created_at"],
        auth_time=facts["auth_time"],
        strong_time=facts.get("strong_time", 0),
    )


# -- signing in


class PasskeyOptionsView(JsonView):
    """POST ``/login/passkey/options/``: ``PublicKeyCredentialRequestOptionsJSON``.

    Body: ``{}``, ``{"identifier": "name@example.com"}``, or ``{"step_up": true}`` for the session of this browser (or
    the sign-in that waits in it).
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        asked = self.body()
        if not isinstance(asked, dict):
            raise InvalidBody
        typed = asked.get("identifier") or ""
        if not isinstance(typed, str):
            raise InvalidIdentifier
        options = passkey.start(
            requester=self.with_browser(),
            identifier=accept(typed, language=get_language() or "") if typed.strip() else None,
            sign_in=self._to_confirm() if asked.get("step_up") else None,
        )
        return self.keep_browser(JsonResponse(options))

    def _to_confirm(self) -> SignIn:
        sign_in = to_confirm(self)
        if sign_in is None:
            raise StepUpRequired
        return sign_in


def to_confirm(view: PageView) -> SignIn | None:
    """The SignIn that a step-up is for: the one that waits in this browser (named by ``sign_in`` in the query), else
    this session's."""
    named = view.request.GET.get("sign_in", "")
    if PUBLIC_ID.fullmatch(named):
        return completion.waiting(named, requester=view.requester)
    return sessions.current(view.request)


class PasskeyVerifyView(JsonView):
    """POST ``/login/passkey/verify/``: an ``AuthenticationResponseJSON``; answers ``{"next": url}``.

    Query: ``next``; ``step_up=1`` for an answer to options that were asked for with ``step_up``, and ``sign_in``.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        credential = self.body()
        sign_in = None
        if request.GET.get("step_up"):
            sign_in = to_confirm(self)
            if sign_in is None:
                raise StepUpRequired
        outcome = passkey.finish(
            credential,
            requester=self.requester,
            establish=partial(sessions.establish, request),
            sign_in=sign_in,
            next_url=self.next_url(),
        )
        return self.keep_browser(JsonResponse({"next": after(outcome)}))

    def more(self, refusal: PasswordlessError) -> dict[str, Any]:
        if refusal.code != "unknown_credential":
            return {}
        # What ``PublicKeyCredential.signalUnknownCredential()`` takes, beside the id that the page sent.
        return {"rpId": settings.PASSKEY_RP_ID}


# -- adding


class RegisterOptionsView(JsonView):
    """POST ``/account/passkeys/options/``: ``PublicKeyCredentialCreationOptionsJSON`` for who is signed in, or for the
    sign-in that waits in this browser for its first passkey. Query: ``conditional=1`` before a conditional create."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        options = enrolment.start(self.session(), requester=self.with_browser(), conditional=self.is_conditional)
        return self.keep_browser(JsonResponse(options))

    @property
    def is_conditional(self) -> bool:
        return self.request.GET.get("conditional") == "1"

    def session(self) -> enrolment.Session:
        named = self.request.GET.get("sign_in", "")
        if PUBLIC_ID.fullmatch(named):
            waiting = completion.waiting(named, requester=self.requester)
            if waiting is None:
                raise StepUpRequired
            return enrolment.session_of(waiting)
        if not self.request.user.is_authenticated:
            raise StepUpRequired
        return session_of(self.request)


class RegisterView(RegisterOptionsView):
    """POST ``/account/passkeys/register/``: a ``RegistrationResponseJSON``; answers ``{"next": url, "passkey": {"id",
    "name"}}``. Query: ``name``, and ``conditional=1`` after a conditional create."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        row = enrolment.register(
            self.body(),
            self.session(),
            requester=self.requester,
            name=request.GET.get("name", ""),
            conditional=self.is_conditional,
        )
        url = self.next_url() or reverse("passwordless_auth:passkeys")
        return JsonResponse({"next": url, "passkey": {"id": row.public_id, "name": row.name}})


class SignalView(PageView):
    """GET ``/account/passkeys/signal.json``: what ``signalAllAcceptedCredentials()`` and
    ``signalCurrentUserDetails()`` take, so that passkey managers forget what was removed here (WebAuthn Level 3
    §5.1.10)."""

    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return JsonResponse(signal_of(self.member, list(Passkey.objects.of(self.member))))


def signal_of(user: Any, passkeys: list[Passkey]) -> dict[str, Any]:
    # A blocked passkey is still known here: forgetting it would make unblocking impossible.
    return {
        "rpId": settings.PASSKEY_RP_ID,
        "userId": webauthn.encode(Profile.objects.of(user).handle.encode()),
        "allAcceptedCredentialIds": [webauthn.encode(bytes(row.credential_id)) for row in passkeys],
        "name": accounts.name_of(user),
        "displayName": accounts.display_name_of(user),
    }


# -- the offer after a sign-in by link or code


def after_message(request: HttpRequest, challenge: Challenge, outcome: completion.Outcome) -> str:
    """Where a sign-in that a message completed leads: past the offer of a passkey when one is due, and the page's
    script has said that this browser can make one (``passkeys=1``). Every other client goes where it always went."""
    can_make_passkeys = request.POST.get("passkeys") == "1"
    if outcome.due is not None or not can_make_passkeys or challenge.purpose != Challenge.Purpose.SIGN_IN:
        return after(outcome)
    if not enrolment.offer_due(outcome.sign_in.user):
        return destination(outcome.next_url)
    fields = {"next": outcome.next_url, "created": "1" if outcome.created else ""}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{reverse('passwordless_auth:passkey_offer')}{'?' if query else ''}{query}"


class PasskeyOfferView(PageView):
    """GET offers a passkey, once after a sign-in by link or code. POST is "not now", and kept for good."""

    page = "enrol"
    template_name = "passwordless_auth/passkey_offer.html"
    for_members = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not enrolment.offer_due(self.member) or not may_add(session_of(request)):
            return see_other(destination(self.next_url()))
        return self.page_response(
            account=accounts.name_of(self.member),
            created=request.GET.get("created") == "1",
            next=self.next_url(),
            continue_url=destination(self.next_url()),
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        enrolment.decline_offer(self.member)
        return see_other(destination(self.next_url()))


def may_add(session: enrolment.Session) -> bool:
    try:
        enrolment.require_may_add(session)
    except StepUpRequired:
        return False
    return True


# -- keeping house


class PasskeyPageView(PageView):
    """A page about the passkeys of who is signed in."""

    page = "passkeys"
    for_members = True
    for_recovered = True

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        if isinstance(refusal, StepUpRequired) and not isinstance(refusal, ChangesStopped):
            return to_step_up(self.request, Level.MULTI)
        return super().refuse(refusal)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return [Action(_("Back to your passkeys"), reverse("passwordless_auth:passkeys"), primary=True)]


class PasskeysView(PasskeyPageView):
    """GET lists a person's passkeys. POST changes one (``passkey``, ``action``: ``rename`` with ``name``, ``block``,
    ``unblock``, ``remove``)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self._page()

    def _page(self, *, status: int = 200, error_code: str = "", error: Any = "") -> HttpResponseBase:
        rows = list(Passkey.objects.of(self.member))
        session = session_of(self.request)
        notice = self.request.GET.get("notice", "")
        return self.page_response(
            status=status,
            error_code=error_code,
            error=error,
            passkeys=[shown(row, self.requester) for row in rows],
            level=session.level or "",
            add=self._add_state(session, rows),
            may_change=enrolment.is_strong(session),
            stopped=ChangesStopped.detail,
            account=accounts.name_of(self.member),
            recovered=recovered_context(self.request),
            next=self.next_url(),
            after_url=self._after_adding(session),
            notice=notice if notice in NOTICES else "",
        )

    def _after_adding(self, session: enrolment.Session) -> str:
        """Where to go with a new passkey; who recovers an account stays here, to sign in with it."""
        if self.next_url() and session.level != Level.RECOVERED:
            return self.next_url()
        query = {"notice": "added", "next": self.next_url()}
        return f"{self.request.path}?{urlencode({name: value for name, value in query.items() if value})}"

    def _add_state(self, session: enrolment.Session, rows: list[Passkey]) -> str:
        """``now``: a passkey can be added. Else what is needed first: ``step_up``, ``sign_in`` (again), ``recover``
        where every passkey is blocked, or ``stopped``, after a report."""
        try:
            enrolment.require_may_add(session)
        except ChangesStopped:
            return "stopped"
        except StepUpRequired:
            if ways_in.can_reach(self.member, Level.MULTI):
                return "step_up"
            return "recover" if rows else "sign_in"
        return "now"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = session_of(request)
        public_id = request.POST.get("passkey", "")
        action = request.POST.get("action", "")
        if action == "rename":
            enrolment.rename(session, public_id, request.POST.get("name", ""))
        elif action in CHANGES:
            signs_out = action == "block" and made_here(request, enrolment.named(self.member, public_id))
            CHANGES[action](session, public_id, requester=self.requester)
            if signs_out:
                sessions.log_out(request)
                return see_other(reverse("passwordless_auth:signed_out"))
        else:
            return see_other(reverse("passwordless_auth:passkeys"))
        return see_other(f"{reverse('passwordless_auth:passkeys')}?notice={action}")

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        if refusal.code in {"last_way_in", "unknown_credential"}:
            return self._page(status=STATUS[refusal.code], error_code=refusal.code, error=refusal.detail)
        return super().refuse(refusal)


class PasskeyChangeView(PasskeyPageView):
    """GET asks for the new name of a passkey (``passkey``), or whether it is to be blocked or removed (``action``).
    Whoever may not do that yet proves who they are first, and comes back here."""

    template_name = "passwordless_auth/passkey_change.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        action = request.GET.get("action", "")
        if action not in {"rename", "block", "remove"}:
            return see_other(reverse("passwordless_auth:passkeys"))
        row = enrolment.named(self.member, request.GET.get("passkey", ""))
        if action != "rename":
            enrolment.require_may_change(session_of(request))
        return self.page_response(
            action=action,
            passkey=shown(row, self.requester),
            signs_out=action == "block" and made_here(request, row),
            only_one=action == "block" and is_only_one(row),
        )


def shown(row: Passkey, requester: Requester) -> dict[str, Any]:
    """A passkey as pages show it."""
    provider = webauthn.provider_of(row.aaguid)
    return {
        "public_id": row.public_id,
        "name": row.name,
        "provider": provider.name if provider else "",
        "icon": _icon_url(row, "light") if provider and provider.light else "",
        "icon_dark": _icon_url(row, "dark") if provider and provider.dark else "",
        "device_type": row.device_type,
        "backed_up": row.backed_up,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "blocked_at": row.blocked_at,
        "this_browser": bool(row.last_browser_digest) and row.last_browser_digest == requester.browser_digest,
    }


def _icon_url(row: Passkey, scheme: str) -> str:
    return reverse("passwordless_auth:passkey_icon", args=[row.aaguid, scheme])


def is_only_one(row: Passkey) -> bool:
    """Whether its owner has nothing else that proves more than a mailbox."""
    return not ways_in.has_passkey(row.user, without=[row.pk]) and not ways_in.has_app(row.user)


def made_here(request: HttpRequest, row: Passkey) -> bool:
    """Whether this session was signed in, or confirmed, by this passkey."""
    here = sessions.current(request)
    return here is not None and here.pk in {made.pk for made in enrolment.made_by(row)}


CHANGES: Final[dict[str, Any]] = {
    "block": enrolment.block,
    "unblock": enrolment.unblock,
    "remove": enrolment.remove,
}
NOTICES: Final = frozenset({"rename", "added", *CHANGES})


@method_decorator(login_not_required, name="dispatch")
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class PasskeyIconView(View):
    """GET ``/account/passkeys/icons/<aaguid>/<scheme>/``: the icon of a provider, for light or dark pages."""

    def get(self, request: HttpRequest, aaguid: UUID, scheme: str) -> HttpResponseBase:
        provider = webauthn.provider_of(str(aaguid))
        icon = provider and (provider.dark if scheme == "dark" else provider.light)
        if not icon:
            raise Http404
        response = HttpResponse(icon.content, content_type=icon.content_type)
        response["Cache-Control"] = "public, max-age=604800"
        # SECURITY: an SVG that is opened by itself is a page of this site. It may run nothing and load nothing.
        response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        response["X-Content-Type-Options"] = "nosniff"
        return response


# -- well-known files


class RelatedOriginsView(PageView):
    """GET ``/.well-known/webauthn``: the other origins that may use this site's passkeys (WebAuthn Level 3 §5.11)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        origins = [*settings.PASSKEY_ORIGINS, *settings.PASSKEY_RELATED_ORIGINS]
        return JsonResponse({"origins": [origin for origin in origins if origin.startswith("http")]})  # no apps


class PasskeyEndpointsView(PageView):
    """GET ``/.well-known/passkey-endpoints``: where a passkey manager sends people (W3C, Passkey Endpoints)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        passkeys = settings.BASE_URL + reverse("passwordless_auth:passkeys")
        return JsonResponse({"enroll": passkeys, "manage": passkeys})
