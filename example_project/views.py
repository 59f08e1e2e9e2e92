from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from example_project.csp import content_security_policy
from passwordless_auth.conf import settings
from passwordless_auth.decorators import recent_sign_in_required

#: People that ``seed_demo`` has made, to try the site with.
SEEDED = {"person": "ada@example.com", "admin": "admin@example.com"}


@never_cache
@content_security_policy()
def home(request):
    return render(request, "example_project/home.html", {"seeded": SEEDED})


@never_cache
@login_required
@content_security_policy()
def members(request):
    """For everybody who is signed in: Django's own ``login_required``."""
    return render(request, "example_project/members.html")


@never_cache
@recent_sign_in_required
@content_security_policy()
def recent(request):
    """For those who proved who they are a moment ago; others are asked to do it once more."""
    until = request.sign_in.auth_time + timedelta(seconds=settings.STEP_UP_LIFETIME)
    return render(request, "example_project/recent.html", {"until": until})


@never_cache
def admin_login(request):
    """Django's admin asks for a password; nobody here has one, so its sign-in page is ours."""
    there = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(there, allowed_hosts=None, require_https=request.is_secure()):
        there = reverse("admin:index")  # only paths of this site
    if not request.user.is_authenticated:
        return redirect_to_login(there, resolve_url("passwordless_auth:login"))
    if not request.user.is_staff:
        return render(request, "403.html", status=403)
    return redirect(there)
