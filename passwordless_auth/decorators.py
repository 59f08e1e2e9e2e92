"""Guards for views of the host: how strong, and how recent, the proof of a session must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from . import sessions
from .models import Level

View = Callable[..., HttpResponseBase]


def recent_sign_in_required(view: View) -> View:
    """Let in only who proved who they are within ``STEP_UP_LIFETIME`` seconds; others confirm it and come back.

    A visitor goes to the sign-in page first, as with ``login_required``.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not sessions.is_recent(request):
            return _to_step_up(request)
        return view(request, *args, **kwargs)

    return guarded


def level_required(minimum: Level | str) -> Callable[[View], View]:
    """Let in only sessions of at least this level (``"single"``, ``"multi"``, ``"phr"``).

    A visitor goes to the sign-in page. A session that falls short is refused with ``PermissionDenied`` (403): no
    proof that this site offers would raise it.
    """
    wanted = Level(minimum)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            level = sessions.level_of(request)
            if level is None and wanted.rank <= Level.SINGLE.rank:
                return _to_step_up(request)
            if level is None or not level.meets(wanted):
                raise PermissionDenied("step_up_required")
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def _to_step_up(request: HttpRequest) -> HttpResponseRedirect:
    query = urlencode({"next": request.get_full_path()})
    return HttpResponseRedirect(f"{reverse('passwordless_auth:step_up')}?{query}")
