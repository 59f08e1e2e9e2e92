"""What all pages share: headers, the browser's cookie, where to go next, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic.base import View

from .. import errands, sessions
from ..conf import settings
from ..exceptions import (
    ChangesStopped,
    Expired,
    NoLink,
    PasswordlessError,
    StalePage,
    StepUpRequired,
    TooManyRequests,
    WrongBrowser,
)
from ..flows import accounts, completion, ways_in
from ..identifiers import PUBLIC_ID
from ..models import Challenge, Level, Passkey, Profile, RecoveryCode, SignIn
from ..models.challenge import message_named, newest_message
from ..requester import BROWSER_COOKIE_AGE, Requester, browser_cookie_name, new_browser_key

#: Bytes of a request's body; every form of ours is far smaller.
MAX_BODY: Final = 64 * 1024

STATUS: Final = {
    "invalid_identifier": 400,
    "invalid_code": 400,
    "expired": 410,
    "spent": 410,
    "superseded": 410,
    "too_many_tries": 410,
    "too_many_requests": 429,
    "wrong_browser": 403,
    "sign_up_closed": 403,
    "disabled": 403,
    "step_up_required": 403,
    "stale_page": 403,
    "no_access": 403,
    "invalid_credential": 400,
    "unknown_credential": 404,
    "credential_blocked": 403,
    "last_way_in": 409,
    "identity_taken": 409,
    "primary_identity": 409,
}

_TITLES: Final = {
    "invalid_code": gettext_lazy("This link does not work"),
    "expired": gettext_lazy("The time is over"),
    "spent": gettext_lazy("Already used"),
    "superseded": gettext_lazy("This message no longer counts"),
    "too_many_tries": gettext_lazy("Too many wrong codes"),
    "too_many_requests": gettext_lazy("Please wait"),
    "wrong_browser": gettext_lazy("This belongs to another browser"),
    "sign_up_closed": gettext_lazy("No account"),
    "disabled": gettext_lazy("You cannot sign in"),
    "step_up_required": gettext_lazy("A stronger proof is needed"),
    "stale_page": gettext_lazy("Please try once more"),
    "no_access": gettext_lazy("This is not for you"),
    "unknown_credential": gettext_lazy("This passkey is not known here"),
    "credential_blocked": gettext_lazy("This passkey is blocked"),
    "last_way_in": gettext_lazy("This is your last way in"),
    "identity_taken": gettext_lazy("This address is taken"),
    "primary_identity": gettext_lazy("This is your main address"),
}


def _title_of(refusal: PasswordlessError) -> Any:
    if isinstance(refusal, NoLink):
        return _("Please open the link again")
    if isinstance(refusal, ChangesStopped):
        return _("Changes are stopped")
    return _TITLES.get(refusal.code, _("This did not work"))


@dataclass(frozen=True)
class Action:
    """A next step that an error page offers: a link, or a form with hidden fields."""

    label: str
    url: str
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    primary: bool = False


class CsrfCheck(CsrfViewMiddleware):
    """Django's own check, made by our views themselves, so that its refusal is one of ours.

    A sign-in rotates the token. So a second tab that waits for another address holds a form that has become stale,
    and its person must be told how to go on.
    """

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponseBase:
        raise StalePage


@lru_cache(maxsize=8)
def _csrf_check(_trusted_origins: tuple[str, ...]) -> CsrfCheck:
    """One for all requests: it keeps what it made of the trusted origins. Its views are never called by it."""
    return CsrfCheck(lambda _request: HttpResponse())


#: What is around every view of ours, from the outside in.
AROUND: Final = (
    login_not_required,  # members' pages ask for it themselves
    transaction.non_atomic_requests,  # a counted try must survive the request
    sensitive_post_parameters(),
    csrf_exempt,  # from the host's middleware: see CsrfCheck
)


class PageView(View):
    """A page of ours. ``page`` names its template and is the value of ``<body data-page>``."""

    page: ClassVar[str] = ""
    #: Another template for the page; default: ``passwordless_auth/<page>.html``.
    template_name: ClassVar[str] = ""
    #: Whether visitors are sent to the sign-in page first.
    for_members: ClassVar[bool] = False
    #: Whether a session that a recovery made, which may only add a passkey, may see it.
    for_recovered: ClassVar[bool] = False
    requester: Requester
    #: The challenge that this request is about, once it is known to be of this browser.
    subject: Challenge | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        # Not around ``dispatch``: there Django's decorators would be made anew for every request.
        view: Callable[..., HttpResponseBase] = super().as_view(**initkwargs)
        for decorate in reversed(AROUND):
            view = decorate(view)
        return view

    def get_template_names(self) -> list[str]:
        return [self.template_name or f"passwordless_auth/{self.page}.html"]

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        sessions.show_recovered(request)
        self.requester = Requester.from_request(request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        unreadable = self.unreadable(request)
        if unreadable is not None:
            return self._secured(unreadable)
        csrf = _csrf_check(tuple(django_settings.CSRF_TRUSTED_ORIGINS))
        csrf.process_request(request)
        try:
            self.require_own_page(csrf)
            if self.for_members and not request.user.is_authenticated:
                response: HttpResponseBase = redirect_to_login(request.get_full_path())
            elif self.for_members and not self.for_recovered and is_recovered(request):
                raise StepUpRequired
            else:
                response = super().dispatch(request, *args, **kwargs)
        except PasswordlessError as refusal:
            response = self.refuse(refusal)
        return self._secured(csrf.process_response(request, response))

    def require_own_page(self, csrf: CsrfCheck) -> None:
        """Raise StalePage unless a POST comes from a page of this site: by the token of its form."""
        csrf.process_view(self.request, super().dispatch, (), {})

    def unreadable(self, request: HttpRequest) -> HttpResponseBase | None:
        """The answer to a request whose body is not even looked at; ``None`` to go on."""
        if _body_length(request) > MAX_BODY:
            return HttpResponse(_("This is too much."), status=413, content_type="text/plain")
        if _in_other_charset(request):
            return HttpResponse(status=415, content_type="text/plain")
        if not _is_readable(request):
            return HttpResponse(_("This can't be read."), status=400, content_type="text/plain")
        return None

    def page_response(self, *, status: int = 200, page: str = "", **context: Any) -> HttpResponseBase:
        """Render ``page`` (default: this view's own)."""
        page = page or self.page
        response = TemplateResponse(
            self.request,
            [f"passwordless_auth/{page}.html"] if page != self.page else self.get_template_names(),
            {
                "page": page,
                "error_code": "",
                "site_name": settings.SITE_NAME,
                "site_url": settings.BASE_URL,
                "view": self,
                "errand": self.errand,
                **context,
            },
            status=status,
        )
        # Rendered here, so that an error in a template is an error of this view and headers are set on all.
        response.render()
        return response

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        """The page for a refusal: what happened, and the next step."""
        retry_after = refusal.retry_after if isinstance(refusal, TooManyRequests) else 0
        stopped = isinstance(refusal, ChangesStopped) and self.request.user.is_authenticated
        actions = [self._anew()] if isinstance(refusal, StalePage) else self.actions_after(refusal)
        response = self.page_response(
            page="error",
            status=STATUS.get(refusal.code, 400),
            error_code=refusal.code,
            title=self.title_of(refusal),
            text=refusal.detail,
            actions=[*ways_to_change(self.member, self.request.path), *actions] if stopped else actions,
            retry_after=retry_after,
            stopped_until=Profile.objects.of(self.member).frozen_until if stopped else None,
        )
        if retry_after:
            response["Retry-After"] = str(retry_after)
        return response

    def title_of(self, refusal: PasswordlessError) -> Any:
        """The heading of the error page."""
        return _title_of(refusal)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        """What the error page offers. The base class offers the sign-in page."""
        return [
            Action(_("Go to sign-in"), with_next(reverse("passwordless_auth:login"), self.next_url()), primary=True)
        ]

    def _anew(self) -> Action:
        """The page of a stale form, with a new one."""
        path = self.request.path if hasattr(self, "get") else reverse("passwordless_auth:wait")
        named = self.request.POST.get("challenge", "")
        fields = {"challenge": named if PUBLIC_ID.fullmatch(named) else "", "next": self.next_url()}
        query = urlencode({name: value for name, value in fields.items() if value})
        return Action(_("Show the page again"), f"{path}?{query}" if query else path, primary=True)

    # -- the browser

    def with_browser(self) -> Requester:
        """The requester, with a browser key in any case; ``keep_browser`` then hands it out."""
        if not self.requester.browser_key:
            self.requester = replace(self.requester, browser_key=new_browser_key())
        return self.requester

    def keep_browser(self, response: HttpResponseBase) -> HttpResponseBase:
        response.set_cookie(
            browser_cookie_name(),
            self.requester.browser_key,
            max_age=BROWSER_COOKIE_AGE,
            path="/",
            secure=settings.is_https,
            httponly=True,
            samesite="Lax",
        )
        return response

    @property
    def member(self) -> Any:
        """The signed-in user; only for views with ``for_members``."""
        return self.request.user

    def challenge(self) -> Challenge | None:
        """The challenge that this request is about: the one it names, which this browser must have asked for, or the
        newest of this browser; ``None`` when there is none."""
        named = self.request.POST.get("challenge") or self.request.GET.get("challenge")
        if not named:
            self.subject = newest_message(self.requester)
            return self.subject
        if not PUBLIC_ID.fullmatch(named):
            raise Expired
        challenge = message_named(named)
        if challenge is None:
            raise Expired  # purged
        if not challenge.asked_by(self.requester):
            raise WrongBrowser
        self.subject = challenge
        return challenge

    # -- where to go

    @cached_property
    def errand(self) -> errands.Errand | None:
        """For whom the person of this page signs in: an OAuth client. ``None``: for this site."""
        onward = self.next_url() or (safe_next(self.subject.next_url) if self.subject else "")
        return errands.errand_of(onward, self.requester)

    def next_url(self) -> str:
        """The ``next`` of this request, if it leads to this site; "" otherwise."""
        return safe_next(self.request.POST.get("next") or self.request.GET.get("next") or "")

    def _secured(self, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in security_headers(self.__dict__.get("errand")).items():
            response.headers.setdefault(name, value)
        return response


def is_recovered(request: HttpRequest) -> bool:
    return sessions.level_of(request) == Level.RECOVERED


def recovered_context(request: HttpRequest) -> dict[str, bool] | None:
    """What the pages that a recovered session may see tell it to do next: whether it has ``added`` its passkey, which
    then only has to sign in, and whether there is any that ``can_sign_in``. ``None`` for all other sessions."""
    if not is_recovered(request):
        return None
    here = (sessions.facts_of(request) or {}).get("sign_in")
    enrolled_in = list(Passkey.objects.of(request.user).usable().values_list("enrolled_in", flat=True))
    return {"added": here in enrolled_in, "can_sign_in": bool(enrolled_in)}


def ways_to_change(user: Any, next_url: str = "") -> list[Action]:
    """What this person has that may change their account while a report has stopped all other changes."""
    ways = []
    if ways_in.has_passkey(user):
        query = {"level": Level.PHR, "next": safe_next(next_url)}
        kept = urlencode({name: value for name, value in query.items() if value})
        ways.append(Action(_("Use a passkey"), f"{reverse('passwordless_auth:step_up')}?{kept}"))
    if {"passkey", "recovery_code"} <= set(settings.METHODS) and RecoveryCode.objects.unused(user.pk).exists():
        ways.append(Action(_("Use a recovery code"), reverse("passwordless_auth:recovery")))
    return ways


def safe_next(url: str) -> str:
    """SECURITY: only paths of this site and absolute URLs of ``BASE_URL``; anything else would let a link to our
    sign-in page end on a page of somebody else (CVE-2025-27143). Asked where a value comes in and where it is used."""
    base = urlsplit(settings.BASE_URL)
    allowed = url_has_allowed_host_and_scheme(url, allowed_hosts={base.netloc}, require_https=base.scheme == "https")
    return url if allowed and len(url) <= 2000 and url.isprintable() else ""


def destination(next_url: str) -> str:
    """Where a completed sign-in leads."""
    return safe_next(next_url) or resolve_url(django_settings.LOGIN_REDIRECT_URL)


def after(outcome: completion.Outcome) -> str:
    """Where an accepted proof leads: on to the next step, while one is due."""
    if outcome.due is not None:
        return step_up_url(outcome.sign_in, outcome.next_url)
    return destination(outcome.next_url)


def step_up_url(waiting: SignIn, next_url: str = "") -> str:
    """Where a sign-in that lacks another step goes on."""
    query = {"sign_in": waiting.public_id, "next": safe_next(next_url)}
    path = reverse("passwordless_auth:step_up")
    return f"{path}?{urlencode({name: value for name, value in query.items() if value})}"


def with_next(url: str, next_url: str) -> str:
    return f"{url}?{urlencode({'next': next_url})}" if next_url else url


def see_other(url: str) -> HttpResponseRedirect:
    """303 (RFC 9110 §15.4.4): whatever came, go on by GET."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


display_name = accounts.display_name_of


def security_headers(errand: errands.Errand | None = None) -> dict[str, str]:
    """The headers of every page. In an errand, a form may lead on to the Client, and the window that opened this one
    (a Client's page that waits for its pop-up) stays in touch with it."""
    static = urlsplit(django_settings.STATIC_URL or "")
    ours = f"'self' {static.scheme}://{static.netloc}" if static.netloc else "'self'"
    policy = (
        f"default-src 'none'; script-src {ours}; style-src {ours}; img-src {ours} data:; connect-src 'self'; "
        f"form-action 'self'{f' {errand.form_action}' if errand else ''}; frame-ancestors 'none'; base-uri 'none'; "
        "object-src 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        # Not "no-referrer": with it, a browser sends "Origin: null" with a form, which no CSRF protection can accept.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "unsafe-none" if errand else "same-origin",
    }


def _in_other_charset(request: HttpRequest) -> bool:
    """Whether somebody asks Django to read fields and query by another charset than that of our pages. Some decode to
    lone surrogates, which no page and no database can say."""
    return request.encoding is not None and request.encoding.lower() != "utf-8"


def _is_readable(request: HttpRequest) -> bool:
    """Whether Django can read the form.

    What it can't (a broken multipart body, too many fields) it would refuse itself, but its page for that reads the
    form once more in a CSRF check: an answer of 500.
    """
    try:
        request.POST  # noqa: B018 (read for the first time)
    except (BadRequest, SuspiciousOperation, MultiPartParserError, ValueError):
        return False
    return True


def _body_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
