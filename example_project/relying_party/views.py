"""The five views of a site that lets another one sign people in. Authlib does what OpenID Connect asks for."""

import json
from datetime import UTC, datetime

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from joserfc.errors import JoseError

from example_project.csp import content_security_policy
from example_project.relying_party import registration

oauth = OAuth()
oauth.register("example")  # its settings are AUTHLIB_OAUTH_CLIENTS["example"]

#: The page needs nothing but its own style; its forms lead to the provider, by a redirect.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    f"form-action 'self' {settings.SITE_URL}; frame-ancestors 'none'; base-uri 'none'"
)
#: What can go wrong between two sites: the answer is an error, is not what was asked for, or does not come.
FAILURES = (AuthlibBaseError, JoseError, requests.RequestException)


@require_safe
@never_cache
@content_security_policy(POLICY)
def home(request):
    """The button; or who is signed in, and what the provider said."""
    context = {
        "name": registration.NAME,
        "provider": settings.SITE_URL,
        "failure": request.session.pop("failure", None),
    }
    if signed_in := request.session.get("signed_in"):
        userinfo, claims = signed_in["userinfo"], signed_in["claims"]
        context |= {
            "signed_in": signed_in,
            "expires_at": datetime.fromtimestamp(signed_in["expires_at"], tz=UTC),
            "about_you": [(name, readable(name, value)) for name, value in userinfo.items()],
            "about_the_sign_in": [
                (name, readable(name, value)) for name, value in claims.items() if name == "sub" or name not in userinfo
            ],
        }
    return render(request, "relying_party/home.html", context)


def readable(name, value):
    """A claim as it was sent; a moment as people write it, too."""
    text = value if isinstance(value, str) else json.dumps(value)
    if name in {"auth_time", "exp", "iat", "updated_at"}:
        return f"{text} ({datetime.fromtimestamp(value, tz=UTC):%H:%M:%S} UTC)"
    return text


@require_POST
def sign_in(request):
    """Send the person to the provider; state, nonce and PKCE's verifier wait in the session."""
    try:
        return oauth.example.authorize_redirect(request, registration.redirect_uri(settings.CLIENT_URL))
    except FAILURES as error:
        return failed(request, error)


@require_safe
@never_cache
def callback(request):
    """The person comes back with a code: trade it for tokens, and keep who they are."""
    try:
        tokens = oauth.example.authorize_access_token(request)
        userinfo = oauth.example.userinfo(token=tokens)
    except FAILURES as error:
        return failed(request, error)
    request.session.cycle_key()
    request.session["signed_in"] = {
        "id_token": tokens["id_token"],
        "claims": dict(tokens["userinfo"]),
        "userinfo": dict(userinfo),
        "refresh_token": tokens.get("refresh_token"),
        "expires_at": tokens["expires_at"],
        "refreshed": 0,
    }
    return redirect("home")


@require_POST
def refresh(request):
    """New tokens without the person, as a site does in the background; the old refresh token is used up by it."""
    signed_in = request.session.get("signed_in")
    if not signed_in or not signed_in["refresh_token"]:
        return redirect("home")
    try:
        tokens = oauth.example.fetch_access_token(grant_type="refresh_token", refresh_token=signed_in["refresh_token"])
        userinfo = oauth.example.userinfo(token=tokens)
    except FAILURES as error:
        del request.session["signed_in"]  # revoked there, or signed out there: so here as well
        return failed(request, error)
    request.session["signed_in"] = {
        **signed_in,
        "userinfo": dict(userinfo),
        "refresh_token": tokens["refresh_token"],
        "expires_at": tokens["expires_at"],
        "refreshed": signed_in["refreshed"] + 1,
    }
    return redirect("home")


@require_POST
def sign_out(request):
    """Sign out here, and then there."""
    signed_in = request.session.get("signed_in")
    request.session.flush()
    if not signed_in:
        return redirect("home")
    try:
        # The state that comes back is of no use to a page that does nothing.
        return redirect(
            oauth.example.create_logout_url(
                post_logout_redirect_uri=f"{settings.CLIENT_URL}/", id_token_hint=signed_in["id_token"]
            )["url"]
        )
    except FAILURES as error:
        return failed(request, error)


def failed(request, error):
    """Back to the first page, which says what happened."""
    if getattr(error, "error", "") == "access_denied":
        request.session["failure"] = _("You did not allow it. Nothing has changed.")
    elif isinstance(error, requests.RequestException):
        request.session["failure"] = _("The example does not answer. Is it running?")
    else:
        request.session["failure"] = _("The example said no: {error}").format(error=error)
    return redirect("home")
