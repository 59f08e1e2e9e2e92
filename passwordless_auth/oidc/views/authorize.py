"""The authorization endpoint: what is asked, what is due, and the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.decorators.debug import sensitive_variables
from oauthlib.oauth2.rfc6749.errors import (
    CustomOAuth2Error,
    FatalClientError,
    InvalidRequestFatalError,
    OAuth2Error,
)

from ... import errands, sessions
from ...exceptions import Expired, PasswordlessError
from ...identifiers import mask
from ...models import Level, Profile
from ...requester import Requester
from ...views.base import Action, CsrfCheck, display_name, security_headers, see_other
from .. import clients
from ..conf import settings
from ..flows import authorize
from ..flows.authorize import Due, Present, Question, Step
from ..models import AuthorizationRequest, ClientSettings
from ..requests import OF_AUTHORIZATION, default_mode, known, single
from ..server import Draft
from .pages import ClientPage
from .scopes import said_of

#: Longer than this, a request does not fit into a URL everywhere.
MAX_QUERY: Final = 6000


class AuthorizationPage(ClientPage):
    """What the authorization endpoint and its continuation share."""

    page = "consent"

    @method_decorator(sensitive_variables())  # codes and tokens are made
    def handle(self, params: Mapping[str, str], row: AuthorizationRequest | None) -> HttpResponseBase:
        """Answer a request, or send its person to what is due."""
        draft, now = Draft.of(params), timezone.now()
        try:
            draft.validate()
            due = authorize.weigh(draft, self.present(draft.request.client), row, now=now)
            if isinstance(due, Present):
                return self.respond(draft, authorize.give(draft, due, row, now=now))
            if "none" in draft.request.wishes.prompt:
                raise CustomOAuth2Error(due.due.error, request=draft.request)
        except FatalClientError as error:
            return self.tell_person(error)
        except OAuth2Error as error:
            return self.respond(draft, error.twotuples)
        row = row or authorize.keep(draft, requester=self.with_browser(), now=now)
        if isinstance(due, Question):
            return self.ask(due, draft, row)
        return self.speak(draft, self.keep_browser(see_other(way_to(due, draft, row))))

    def present(self, application: Any) -> Present | None:
        """Who is signed in at this browser, with what they have allowed the Client."""
        facts = sessions.facts_of(self.request)
        if facts:
            level = sessions.level_of(self.request) or Level.SINGLE
            return (
                None
                if level == Level.RECOVERED
                else authorize.present_in(facts["sign_in"], level=level, application=application)
            )
        if not self.request.user.is_authenticated:
            return None
        began_at = datetime.fromtimestamp(sessions.begun_by_other_code(self.request), UTC)
        return authorize.present_by_other_code(self.request.user, began_at=began_at, application=application)

    def ask(self, question: Question, draft: Draft, row: AuthorizationRequest) -> HttpResponseBase:
        """Pages have the address of the continuation: it can be opened again."""
        return self.speak(draft, self.keep_browser(see_other(continue_url(row))))

    def speak(self, draft: Draft, response: HttpResponseBase) -> HttpResponseBase:
        """``ui_locales``: the pages to come are in the first of these languages that this site has."""
        for wanted in draft.request.wishes.ui_locales:
            try:
                language = translation.get_supported_language_variant(wanted)
            except LookupError:
                continue
            response.set_cookie(
                django_settings.LANGUAGE_COOKIE_NAME,
                language,
                path=django_settings.LANGUAGE_COOKIE_PATH,
                domain=django_settings.LANGUAGE_COOKIE_DOMAIN,
                secure=django_settings.LANGUAGE_COOKIE_SECURE,
                httponly=django_settings.LANGUAGE_COOKIE_HTTPONLY,
                samesite=django_settings.LANGUAGE_COOKIE_SAMESITE,
            )
            break
        return response

    # -- the answer

    def respond(self, draft: Draft, answer: Iterable[tuple[str, str]]) -> HttpResponseBase:
        """Hand an answer to the Client, in the mode that it asked for, with ``iss`` (RFC 9207)."""
        request = draft.request
        params = [(name, str(value)) for name, value in answer] + [("iss", settings.OIDC_ISSUER)]
        mode = request.asked_mode or default_mode(request.response_type or "")
        if mode == "form_post":
            return self._form_post(request.redirect_uri, params)
        if mode == "web_message":
            return self._web_message(request.redirect_uri, params)
        by_fragment = mode == "fragment" or default_mode(request.response_type or "") == "fragment"
        return ClientRedirect(with_params(request.redirect_uri, params, fragment=by_fragment))

    def _form_post(self, redirect_uri: str, params: Sequence[tuple[str, str]]) -> HttpResponseBase:
        """OAuth 2.0 Form Post Response Mode: a form that a script of ours sends, or the person."""
        response = self.page_response(page="form_post", action=redirect_uri, params=params)
        response["Content-Security-Policy"] = _policy("form-action 'self'", f"form-action {source_of(redirect_uri)}")
        return response

    def _web_message(self, redirect_uri: str, params: Sequence[tuple[str, str]]) -> HttpResponseBase:
        """OAuth 2.0 Web Message Response Mode: a page that tells the window around it, or that opened it, and nobody of
        another origin than the registered redirect URI's."""
        target = source_of(redirect_uri)
        response = self.page_response(page="web_message", target=target, response=dict(params))
        response["Content-Security-Policy"] = _policy("frame-ancestors 'none'", f"frame-ancestors {target}")
        response["Cross-Origin-Opener-Policy"] = "unsafe-none"
        response.xframe_options_exempt = True  # type: ignore[attr-defined]
        return response

    def _secured(self, response: HttpResponseBase) -> HttpResponseBase:
        secured = super()._secured(response)
        if getattr(response, "xframe_options_exempt", False):
            del secured["X-Frame-Options"]  # it can't name an origin; the policy does
        return secured


class AuthorizeView(AuthorizationPage):
    """``/openid/authorize``, by GET and POST (OpenID Connect Core §3.1.2.1)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            params = self._read(request.GET)
        except OAuth2Error as error:
            return self.tell_person(error)
        return self.handle(params, None)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """With a POST from the Client's site no browser sends our cookies: who is there shows only after a redirect.

        SECURITY: and nothing else is done here. A browser that seems to be new would be given another key, and be a
        stranger to the accounts that know it.
        """
        try:
            params = self._read(request.POST)
        except OAuth2Error as error:
            return self.tell_person(error)
        return see_other(f"{request.path}?{urlencode(params)}")

    def _read(self, sent: QueryDict) -> dict[str, str]:
        """Raises InvalidRequestFatalError."""
        params = known(single(sent.lists()), OF_AUTHORIZATION)
        if len(urlencode(params)) > MAX_QUERY:
            raise InvalidRequestFatalError(description="The request is too long.")
        return params

    def require_own_page(self, csrf: CsrfCheck) -> None:
        """Requests come from other sites. They change nothing but what their person then does."""


class ContinueView(AuthorizationPage):
    """``/openid/authorize/<id>``: GET goes on with a request once its person has done what was due, and shows the pages
    for a choice and a consent; POST takes their answers: ``allow`` or ``deny``, ``account``."""

    def get(self, request: HttpRequest, *args: Any, public_id: str, **kwargs: Any) -> HttpResponseBase:
        row = authorize.kept(public_id, requester=self.requester)
        return self.handle(row.params, row)

    def post(self, request: HttpRequest, *args: Any, public_id: str, **kwargs: Any) -> HttpResponseBase:
        row, now = authorize.kept(public_id, requester=self.requester), timezone.now()
        if "account" in request.POST:
            return self._choose(row, request.POST["account"], now)
        draft = Draft.of(row.params)
        try:
            draft.validate()
            if "deny" in request.POST:
                raise authorize.deny(row, draft)
        except FatalClientError as error:
            return self.tell_person(error)
        except OAuth2Error as error:
            return self.respond(draft, error.twotuples)
        present = self.present(row.application)
        if present is not None and "allow" in request.POST and request.POST.get("person") == handle_of(present.user):
            authorize.allow(draft, row, present, now=now)
        return see_other(continue_url(row))

    def _choose(self, row: AuthorizationRequest, handle: str, now: datetime) -> HttpResponseBase:
        present = self.present(row.application)
        here = handle_of(present.user) if present is not None else ""
        authorize.choose(row, handle[:32], now=now)
        if present is not None and handle == here:
            return see_other(continue_url(row))
        # SECURITY: its address is not filled in. Whoever is at this browser now has only seen it masked.
        return see_other(f"{reverse('passwordless_auth:login')}?{_query(next=continue_url(row))}")

    def ask(self, question: Question, draft: Draft, row: AuthorizationRequest) -> HttpResponseBase:
        if question.due is Due.SELECT_ACCOUNT:
            return self._ask_for_account(draft, row, question.present)
        return self.page_response(
            page="consent",
            client=draft.request.client,
            look=ClientSettings.of(draft.request.client),
            site=site_of(draft.request.redirect_uri),
            scopes=said_of(authorize.scopes_to_allow(draft)),
            display=display_name(question.present.user),
            person=handle_of(question.present.user),
            action=continue_url(row),
        )

    def _ask_for_account(self, draft: Draft, row: AuthorizationRequest, present: Present) -> HttpResponseBase:
        people = [
            {
                "handle": account.handle,
                # SECURITY: who is not signed in is somebody else's business: enough to know one's own by.
                "address": account.canonical if account.is_current else mask(account.canonical),
                "name": display_name(present.user) if account.is_current else "",
                "is_current": account.is_current,
            }
            for account in authorize.accounts_of(self.requester, present.user)
        ]
        return self.page_response(
            page="select_account", client=draft.request.client, accounts=people, action=continue_url(row)
        )

    @cached_property
    def errand(self) -> errands.Errand | None:
        """This page leads to the Client itself."""
        return find_errand(continue_path(self.kwargs["public_id"]), self.requester)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        return [] if isinstance(refusal, Expired) else super().actions_after(refusal)


def way_to(step: Step, draft: Draft, row: AuthorizationRequest) -> str:
    """The page of the sign-in where a step is done, and from where the request goes on."""
    onward = continue_url(row)
    if step.due is Due.LOGIN:
        hint = draft.request.wishes.login_hint
        return f"{reverse('passwordless_auth:login')}?{_query(next=onward, identifier=hint)}"
    level = step.level if step.level.meets(Level.MULTI) else ""
    since = str(int(row.created_at.timestamp()))
    return f"{reverse('passwordless_auth:step_up')}?{_query(level=level, since=since, next=onward)}"


def continue_url(row: AuthorizationRequest) -> str:
    return continue_path(row.public_id)


def continue_path(public_id: str) -> str:
    return reverse("passwordless_auth_oidc:continue", args=[public_id])


def find_errand(next_url: str, requester: Requester) -> errands.Errand | None:
    """For ``errands.register``: whose request goes on at ``next_url``."""
    try:
        prefix = continue_path("-")[:-1]
    except NoReverseMatch:
        return None  # our URLs are not included, or not yet
    path = urlsplit(next_url).path
    if not path.startswith(prefix):
        return None
    try:
        row = authorize.kept(path.removeprefix(prefix), requester=requester)
    except Expired:
        return None
    client = ClientSettings.of(row.application)
    uri = row.params.get("redirect_uri") or next(iter(row.application.redirect_uris.split()), "")
    taken = {{"sms": "phone"}.get(name, name) for name in client.connections} or {"email", "phone", "passkey"}
    return errands.Errand(
        client_id=row.application.client_id,
        name=row.application.name or row.application.client_id,
        form_action=source_of(uri) if uri else "",
        rules=clients.rules_for(client),
        takes=frozenset(taken),
        accent_color=client.accent_color,
        policy_uri=client.policy_uri,
        tos_uri=client.tos_uri,
    )


def handle_of(user: Any) -> str:
    return Profile.objects.of(user).handle


def with_params(uri: str, params: Iterable[tuple[str, str]], *, fragment: bool) -> str:
    """A redirect URI and the parameters of an answer. Its own query stays as it is, character by character."""
    query = urlencode(list(params))
    if fragment:
        return f"{uri}#{query}"
    return f"{uri}{'&' if '?' in uri else '?'}{query}"


class ClientRedirect(HttpResponseRedirect):
    """303 to a Client (RFC 9700 §4.12). Django knows three schemes; native apps have theirs, and this one is
    registered."""

    status_code = 303

    def __init__(self, uri: str) -> None:
        self.allowed_schemes = [urlsplit(uri).scheme]
        super().__init__(uri)


def source_of(uri: str) -> str:
    """What a Content-Security-Policy calls the place of a URI: its origin; for an app's own scheme, that."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def site_of(uri: str) -> str:
    """What a person reads of a URI: its host; of an app's own scheme, that."""
    parts = urlsplit(uri)
    return parts.hostname or parts.scheme


def _policy(old: str, new: str) -> str:
    return security_headers()["Content-Security-Policy"].replace(old, new)


def _query(**values: str) -> str:
    return urlencode({name: value for name, value in values.items() if value})
