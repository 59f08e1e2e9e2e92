"""Passkeys over HTTP: JSON for the two ceremonies, and the page that keeps house."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import sessions
from ..conf import settings
from ..exceptions import InvalidIdentifier, PasswordlessError, StalePage, StepUpRequired, TooManyRequests
from ..flows import accounts, completion, enrolment, passkey
from ..identifiers import PUBLIC_ID, parse
from ..methods import passkey as webauthn
from ..models import Level, Passkey, Profile, SignIn
from .base import STATUS, PageView, destination, see_other, with_next


class JsonView(PageView):
    """An endpoint for scripts: JSON in, JSON out, errors as ``{"error": code, "detail": text}``.

    SECURITY: no token, but a body that no form of another site can send (``application/json``), and an Origin that is
    ours (rule 21). Without an Origin, which browsers send with every POST, Django's rules apply: a Referer on HTTPS.
    """

    http_method_names = ("post", "options")
    checks_token = False

    def unreadable(self, request: HttpRequest) -> HttpResponseBase | None:
        if request.method == "POST" and request.content_type != "application/json":
            detail = _("The body of the request has to be JSON.")
            return JsonResponse({"error": "unsupported_media_type", "detail": detail}, status=415)
        return super().unreadable(request)

    def require_own_page(self) -> None:
        origin = self.request.META.get("HTTP_ORIGIN")
        if origin is None and self.request.is_secure():
            referer = urlsplit(self.request.META.get("HTTP_REFERER", ""))
            origin = f"{referer.scheme}://{referer.netloc}"
        if origin is not None and origin not in self.allowed_origins():
            raise StalePage

    def allowed_origins(self) -> list[str]:
        host = f"{self.request.scheme}://{self.request.get_host()}"
        return [host, settings.BASE_URL, *settings.PASSKEY_ORIGINS]

    def body(self) -> Any:
        """The JSON of the request; ``{}`` for an empty body. Raises InvalidBody."""
        if not self.request.body.strip():
            return {}
        try:
            return json.loads(self.request.body.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise InvalidBody from error

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        response = JsonResponse(
            {"error": refusal.code, "detail": str(refusal.detail), **self.more(refusal)},
            status=STATUS.get(refusal.code, 400),
        )
        if isinstance(refusal, TooManyRequests):
            response["Retry-After"] = str(refusal.retry_after)
        return response

    def more(self, refusal: PasswordlessError) -> dict[str, Any]:
        """More members for a refusal."""
        return {}


class InvalidBody(PasswordlessError):
    code = "invalid_body"


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON


def session_of(request: HttpRequest) -> enrolment.Session:
    """What this request's session may change about its account; without a query."""
    facts = sessions.facts_of(request)
    user: Any = request.user
    if facts is None:
        # Other code signed in, most likely with a password: as fresh as Django says.
        last_login = getattr(user, "last_login", None)
        return enrolment.Session(user, None, None, last_login.timestamp() if last_login else 0, 0)
    return enrolment.Session(
        user=user,
        sign_in_id=facts["sign_in"],
        level=Level(facts["level"]),
        created_at=facts["until"] - settings.SESSION_LIFETIME,
        strong_time=facts.get("strong_time", 0),
    )


# -- signing in


class PasskeyOptionsView(JsonView):
    """POST ``/login/passkey/options/``: ``PublicKeyCredentialRequestOptionsJSON``.

    Body: ``{}``, ``{"identifier": "name@example.com"}``, or ``{"step_up": true}`` for the session of this browser (or
    the sign-in that waits in it).
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.require_own_page()
        asked = self.body()
        if not isinstance(asked, dict):
            raise InvalidBody
        typed = asked.get("identifier") or ""
        if not isinstance(typed, str):
            raise InvalidIdentifier
        options = passkey.start(
            requester=self.with_browser(),
            identifier=parse(typed) if typed.strip() else None,
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
        self.require_own_page()
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
        if outcome.due is not None:
            return JsonResponse({"next": step_up_url(outcome)})
        return self.keep_browser(JsonResponse({"next": destination(outcome.next_url)}))

    def more(self, refusal: PasswordlessError) -> dict[str, Any]:
        if refusal.code != "unknown_credential":
            return {}
        # What ``PublicKeyCredential.signalUnknownCredential()`` takes, beside the id that the page sent.
        return {"rpId": settings.PASSKEY_RP_ID}


def step_up_url(outcome: completion.Outcome) -> str:
    """Where a sign-in that lacks another step goes on."""
    return with_next(f"{reverse('passwordless_auth:step_up')}?sign_in={outcome.sign_in.public_id}", outcome.next_url)


# -- adding


class RegisterOptionsView(JsonView):
    """POST ``/account/passkeys/options/``: ``PublicKeyCredentialCreationOptionsJSON`` for who is signed in, or for the
    sign-in that waits in this browser for its first passkey."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.require_own_page()
        options = enrolment.start(self.session(), requester=self.with_browser())
        return self.keep_browser(JsonResponse(options))

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
        self.require_own_page()
        row = enrolment.register(
            self.body(),
            self.session(),
            requester=self.requester,
            name=request.GET.get("name", ""),
            conditional=request.GET.get("conditional") == "1",
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


# -- keeping house


class PasskeysView(PageView):
    """GET lists a person's passkeys. POST changes one (``passkey``, ``action``: ``rename`` with ``name``, ``block``,
    ``unblock``, ``remove``)."""

    page = "passkeys"
    for_members = True
    for_recovered = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rows = list(Passkey.objects.of(self.member))
        session = session_of(request)
        return self.page_response(
            passkeys=[self._shown(row) for row in rows],
            signal=signal_of(self.member, rows),
            level=session.level or "",
            may_change=enrolment.is_strong(session),
            next=self.next_url(),
            notice=request.GET.get("notice", "") if request.GET.get("notice") in NOTICES else "",
        )

    def _shown(self, row: Passkey) -> dict[str, Any]:
        provider = webauthn.provider_of(row.aaguid)
        return {
            "public_id": row.public_id,
            "name": row.name,
            "provider": provider.name if provider else "",
            "icon": provider.icon if provider else "",
            "icon_dark": provider.icon_dark if provider else "",
            "device_type": row.device_type,
            "backed_up": row.backed_up,
            "created_at": row.created_at,
            "last_used_at": row.last_used_at,
            "blocked_at": row.blocked_at,
            "this_device": bool(row.last_browser_digest) and row.last_browser_digest == self.requester.browser_digest,
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = session_of(request)
        public_id = request.POST.get("passkey", "")
        action = request.POST.get("action", "")
        if action == "rename":
            enrolment.rename(session, public_id, request.POST.get("name", ""))
        elif action in CHANGES:
            CHANGES[action](session, public_id, requester=self.requester)
        else:
            return see_other(reverse("passwordless_auth:passkeys"))
        return see_other(f"{reverse('passwordless_auth:passkeys')}?notice={action}")


CHANGES: Final[dict[str, Any]] = {
    "block": enrolment.block,
    "unblock": enrolment.unblock,
    "remove": enrolment.remove,
}
NOTICES: Final = frozenset({"rename", "added", *CHANGES})


# -- well-known files


class RelatedOriginsView(PageView):
    """GET ``/.well-known/webauthn``: the other origins that may use this site's passkeys (WebAuthn Level 3 §5.11)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return JsonResponse({"origins": [*settings.PASSKEY_ORIGINS, *settings.PASSKEY_RELATED_ORIGINS]})


class PasskeyEndpointsView(PageView):
    """GET ``/.well-known/passkey-endpoints``: where a passkey manager sends people (W3C, Passkey Endpoints)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        passkeys = settings.BASE_URL + reverse("passwordless_auth:passkeys")
        return JsonResponse({"enroll": passkeys, "manage": passkeys})
