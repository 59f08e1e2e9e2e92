from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
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
