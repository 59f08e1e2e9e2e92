"""Guards for views of the host: how strong, and how recent, the proof of a session must be."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import reverse
from django.utils.http import escape_leading_slashes

from . import kept_form, sessions
from .models import Level

View = Callable[..., Any]
#: Looks at a request and says where it has to go first; ``None`` lets it in.
Guard = Callable[[HttpRequest], HttpResponseBase | None]


def recent_sign_in_required(view: View) -> View:
    """Let in only who proved who they are within ``STEP_UP_LIFETIME`` seconds; others confirm it and come back.

    Whose account asks for two factors or a passkey has to have proven that. A visitor goes to the sign-in page first,
    as with ``login_required``. What was being sent is kept and sent again after the confirmation: see
    :func:`level_required`.
    """
    return _guarded(view, lambda request: _refusal(request, Level.SINGLE, recent=True))


def level_required(minimum: Level | str, *, recent: bool = False) -> Callable[[View], View]:
    """Let in only sessions of at least this level: ``"single"``, ``"multi"`` (two factors) or ``"phr"`` (a passkey).

    ``multi`` and ``phr`` count for ``LEVEL_LIFETIME`` seconds after their proof; with ``recent=True`` for
    ``STEP_UP_LIFETIME``. A visitor goes to the sign-in page. A session that falls short goes to the step-up page, which
    offers what reaches the level and comes back, or says that nothing does.

    A POST is not lost on the way: its fields, up to 64 kB and without files, wait in the session for ten minutes, and
    come back once, to this person and this path, behind a button. Works for functions, ``async`` ones too, and with
    ``method_decorator`` for classes. Raises ValueError for what is no level.
    """
    wanted = Level(minimum)
    return lambda view: _guarded(view, lambda request: _refusal(request, wanted, recent=recent))


def _guarded(view: View, guard: Guard) -> View:
    async def in_a_loop(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # The session and the user are read from the database: not in the event loop.
        refusal = await sync_to_async(guard)(request)
        if refusal is not None:
            return refusal
        answer = view(request, *args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    if iscoroutinefunction(view):
        return wraps(view)(in_a_loop)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if _in_event_loop():  # "dispatch" of a class whose methods are async
            return in_a_loop(request, *args, **kwargs)
        answer: HttpResponseBase = guard(request) or view(request, *args, **kwargs)
        return answer

    return guarded


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _refusal(request: HttpRequest, wanted: Level, *, recent: bool) -> HttpResponseBase | None:
    if not request.user.is_authenticated:
        return redirect_to_login(escape_leading_slashes(request.get_full_path()))
    level = sessions.level_of(request)
    if level is not None and level.meets(wanted) and (not recent or sessions.is_recent(request, wanted)):
        return None
    return to_step_up(request, wanted)


def to_step_up(request: HttpRequest, wanted: Level) -> HttpResponseRedirect:
    """To the step-up page, and back here afterwards: with what a POST says, where it can be kept."""
    back = escape_leading_slashes(request.get_full_path())
    if request.method == "POST" and _is_of_our_form(request):
        back = f"{reverse('passwordless_auth:resume')}?{urlencode({'form': kept_form.keep(request)})}"
    query = {"next": back, "level": wanted} if wanted.meets(Level.MULTI) else {"next": back}
    response = HttpResponseRedirect(f"{reverse('passwordless_auth:step_up')}?{urlencode(query)}")
    if request.method not in {"GET", "HEAD"}:
        response.status_code = 303
    return response


def _is_of_our_form(request: HttpRequest) -> bool:
    """SECURITY: what comes back carries a fresh token, so only what came with a good one is kept. Or a page of somebody
    else could send a form that is refused here, and have it sent again with the person's own token (a view may check
    tokens itself, behind this guard)."""

    def answers(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    csrf = CsrfViewMiddleware(answers)
    csrf.process_request(request)
    return csrf.process_view(request, answers, (), {}) is None
