"""What an administrator does to somebody's account, behind one page that asks why (``flows.operator``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import select_template
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import sessions
from ..conf import settings
from ..decorators import to_step_up
from ..exceptions import LastWayIn
from ..flows import operator, receipts, ways_in
from ..flows.ways_in import WayIn
from ..models import Level, Profile
from ..requester import Operator, Requester
from ..views.base import safe_next

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    ModelAdmin = admin.ModelAdmin[Any]  # for the type checker only
else:
    ModelAdmin = object

#: How many rows one act is for.
MOST: Final = 50

Run = Callable[..., object]


@dataclass(frozen=True)
class Act:
    """One thing to do. ``opens``: it lets somebody do more than before, so it asks for a recent sign-in. ``fits``:
    whether it would change anything about a row. ``warn``: what should be known first, a sentence for each person.
    ``takes_away``: the row is gone after it."""

    name: str
    permission: str
    label: str | Promise
    title: str | Promise
    text: str | Promise
    done: Callable[[int], str]
    run: Callable[[list[Any], Operator, Requester], int]
    fits: Callable[[Any], bool]
    warn: Callable[[list[Any]], list[str]] = lambda rows: []
    opens: bool = False
    takes_away: bool = False


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=500,
        help_text=gettext_lazy("Kept with the event, for whoever asks later. The account’s owner does not see it."),
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "class": "vLargeTextField"}),
    )


def user_of(row: Any) -> Any:
    """Whose account a row is about; ``None`` for what is about none, but about an address."""
    return row if isinstance(row, get_user_model()) else getattr(row, "user", None)


class WithActs(ModelAdmin):
    """For a ModelAdmin of users, of rows that have a user, or of addresses: pages for ``acts``, and links to them."""

    acts: ClassVar[Sequence[Act]] = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act_view)
        return [path("acts/<slug:name>/", view, name=self._url_name), *super().get_urls()]

    @property
    def _url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_passwordless_act"

    def url_of_act(self, act: Act, rows: Sequence[Any], *, back: str = "") -> str:
        query: list[tuple[str, Any]] = [("id", row.pk) for row in rows]
        if back:
            query.append(("next", back))
        page = reverse(f"admin:{self._url_name}", args=[act.name], current_app=self.admin_site.name)
        return f"{page}?{urlencode(query)}"

    def begin_act(self, request: HttpRequest, queryset: QuerySet[Any], act: Act) -> HttpResponse | None:
        """What an action of a list does: on to the page that asks why."""
        rows = list(queryset[: MOST + 1])
        if len(rows) > MOST:
            text = _("Please choose at most {number} at once.").format(number=MOST)
            self.message_user(request, text, messages.ERROR)
            return None
        return HttpResponseRedirect(self.url_of_act(act, rows, back=request.get_full_path()))

    def may(self, request: HttpRequest, act: Act) -> bool:
        user: Any = request.user
        return bool(user.has_perm(act.permission))

    # -- the page

    def act_view(self, request: HttpRequest, name: str) -> HttpResponse:
        act = next((act for act in self.acts if act.name == name), None)
        if act is None:
            raise Http404
        if not self.may(request, act) or not self.has_view_permission(request):
            raise PermissionDenied
        back = safe_next(request.POST.get("next") or request.GET.get("next") or "") or self._list_url()
        rows = self._chosen(request)
        if not rows:
            self.message_user(request, _("Nothing was chosen, or it is gone."), messages.WARNING)
            return HttpResponseRedirect(back)
        if act.opens and not recently_proven(request):
            return to_step_up(request, Level.SINGLE)
        allowed = [row for row in rows if operator.may_act_on(request.user, user_of(row))]
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if allowed and form.is_valid() and self._done(request, act, allowed, form):
            gone = act.takes_away and back in map(self._page_url, allowed)
            return HttpResponseRedirect(self._list_url() if gone else back)
        return self._page(request, act, allowed, [row for row in rows if row not in allowed], form, back)

    def _list_url(self) -> str:
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return reverse(page, current_app=self.admin_site.name)

    def _page_url(self, row: Any) -> str:
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(page, args=[quote(row.pk)], current_app=self.admin_site.name)

    def _chosen(self, request: HttpRequest) -> list[Any]:
        keys = request.GET.getlist("id")[:MOST]
        try:
            pks = [self.opts.pk.to_python(key) for key in keys]
            rows = list(self.get_queryset(request).filter(pk__in=pks).order_by("pk"))
        except (ValidationError, ValueError, OverflowError):
            return []  # what is no key of this model names no row
        return rows

    def _done(self, request: HttpRequest, act: Act, rows: list[Any], form: ReasonForm) -> bool:
        reason = form.cleaned_data["reason"]
        by, requester = operator.named(request.user, reason=reason), Requester.from_request(request)
        try:
            with transaction.atomic():
                number = act.run(rows, by, requester)
                for row in rows:
                    self.log_change(request, row, f"{act.label}: {reason}")
        except LastWayIn:
            form.add_error(None, _("Somebody among them would have no way in at all: there is no address."))
            return False
        self.message_user(request, act.done(number), messages.SUCCESS)
        return True

    def _page(
        self, request: HttpRequest, act: Act, rows: list[Any], refused: list[Any], form: ReasonForm, back: str
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": act.title,
            "opts": self.opts,
            "act": act,
            "rows": [(row, user_of(row)) for row in rows],
            "refused": [(row, user_of(row)) for row in refused],
            "about_users": self.model is get_user_model(),
            "warnings": act.warn(rows),
            "form": form,
            "next": back,
        }
        return TemplateResponse(request, "admin/passwordless_auth/act.html", context)

    # -- links on the page of a row

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Adds a button for each act that this person may do to this row, whatever template the page has."""
        response = super().render_change_form(request, context, *args, **kwargs)
        row = context.get("original")
        if row is not None and isinstance(response, TemplateResponse):
            names = response.template_name
            frame = [names] if isinstance(names, str) else names
            response.template_name = "admin/passwordless_auth/with_acts.html"
            response.context_data = {
                **(response.context_data or {}),
                "passwordless_frame": select_template(frame) if isinstance(frame, list | tuple) else frame,
                "passwordless_acts": self._links(request, row),
            }
        return response

    def _links(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        if not operator.may_act_on(request.user, user_of(row)):
            return []
        return [
            {"label": act.label, "url": self.url_of_act(act, [row], back=request.path)}
            for act in self.acts
            if self.may(request, act) and act.fits(row)
        ]


def recently_proven(request: HttpRequest) -> bool:
    """Whether who acts proved a moment ago who they are. SECURITY: in this session, not ``last_login``: that moves when
    somebody signs in elsewhere, and would make a stolen session fresh."""
    if sessions.facts_of(request) is not None:
        return sessions.is_recent(request)
    return time.time() - sessions.begun_by_other_code(request) < settings.STEP_UP_LIFETIME


# -- passkeys


def _warn_of_block(passkeys: list[Any]) -> list[str]:
    of: dict[Any, list[Any]] = {}
    for passkey in passkeys:
        of.setdefault(passkey.user, []).append(passkey.pk)
    texts = {
        WayIn.ADDRESS: _("No other passkey of {person} works. They can still sign in by a message to their address."),
        WayIn.LINK: _(
            "No other passkey of {person} works, and their account asks for more than a message. They can’t sign in "
            "until you reset what guards it; staff also need a link by the command passwordless_login_link."
        ),
        WayIn.NONE: _("{person} has no address to begin anew with: their last passkey can’t be blocked."),
    }
    ways = {user: ways_in.way_in(user, without=pks) for user, pks in of.items()}
    return [texts[way].format(person=user) for user, way in ways.items() if way in texts]


BLOCK: Final = Act(
    name="block",
    permission="passwordless_auth.block_passkey",
    label=gettext_lazy("Block"),
    title=gettext_lazy("Block passkeys"),
    text=gettext_lazy(
        "They are refused from now on, and the sessions that they made end. They stay in the list and can be "
        "unblocked. Their owners are told."
    ),
    done=lambda number: ngettext("{} passkey is blocked.", "{} passkeys are blocked.", number).format(number),
    run=lambda rows, by, requester: operator.block_passkeys(rows, operator=by, requester=requester),
    fits=lambda row: not row.is_blocked,
    warn=_warn_of_block,
)
UNBLOCK: Final = Act(
    name="unblock",
    permission="passwordless_auth.block_passkey",
    label=gettext_lazy("Unblock"),
    title=gettext_lazy("Unblock passkeys"),
    text=gettext_lazy(
        "They sign in again. Do this only when you know that their owner has them: whoever holds one is let in. Their "
        "owners are told."
    ),
    done=lambda number: ngettext("{} passkey works again.", "{} passkeys work again.", number).format(number),
    run=lambda rows, by, requester: operator.unblock_passkeys(rows, operator=by, requester=requester),
    fits=lambda row: row.is_blocked,
    opens=True,
)


# -- addresses


LIFT_MARK: Final = Act(
    name="lift-mark",
    permission="passwordless_auth.delete_addressmark",
    label=gettext_lazy("Lift the mark"),
    title=gettext_lazy("Lift the marks of addresses"),
    text=gettext_lazy(
        "Whoever signs in with such an address is no longer told that there was trouble with it. Do this when you know "
        "that messages arrive again; if the provider keeps a list of its own, take the address from that, too."
    ),
    done=lambda number: ngettext("{} mark is lifted.", "{} marks are lifted.", number).format(number),
    run=lambda rows, by, requester: sum(receipts.lift(row, operator=by, requester=requester) for row in rows),
    fits=lambda row: True,
    takes_away=True,
)


# -- people


def _each(run: Run) -> Callable[[list[Any], Operator, Requester], int]:
    def each(rows: list[Any], by: Operator, requester: Requester) -> int:
        for row in rows:
            run(user_of(row), operator=by, requester=requester)
        return len(rows)

    return each


def _warn_of_reset(rows: list[Any]) -> list[str]:
    text = _("{person} has no address to begin anew with: nothing can be reset.")
    return [text.format(person=user) for user in map(user_of, rows) if not ways_in.has_address(user)]


def is_frozen(row: Any) -> bool:
    """Whether changes of this row's account are stopped, after "this wasn't me"."""
    profile = row if isinstance(row, Profile) else Profile.objects.filter(user=user_of(row)).first()
    return profile is not None and profile.frozen_until is not None and profile.frozen_until > timezone.now()


RESET: Final = Act(
    name="reset-factors",
    permission="passwordless_auth.reset_factors",
    label=gettext_lazy("Reset factors"),
    title=gettext_lazy("Reset passkeys, apps and recovery codes"),
    text=gettext_lazy(
        "Passkeys, authenticator apps and recovery codes are deleted, and all sessions end: the person begins anew "
        "with a message to their address. Be sure that it is them who asks. A member of staff whose account asks for "
        "more than a message then gets in by a link of the command passwordless_login_link. Every proven address is "
        "told."
    ),
    done=lambda number: ngettext(
        "The factors of {} person are reset.", "The factors of {} people are reset.", number
    ).format(number),
    run=_each(operator.reset_factors),
    fits=lambda row: True,
    warn=_warn_of_reset,
    opens=True,
)
END_SESSIONS: Final = Act(
    name="end-sessions",
    permission="passwordless_auth.end_sessions",
    label=gettext_lazy("End all sessions"),
    title=gettext_lazy("Sign people out everywhere"),
    text=gettext_lazy(
        "The person is signed out everywhere, and what is on its way to them opens nothing any more. They can sign in "
        "again. Every proven address is told. Sessions that were made with a password end only with the password."
    ),
    done=lambda number: ngettext(
        "All sessions of {} person have ended.", "All sessions of {} people have ended.", number
    ).format(number),
    run=_each(operator.end_sessions),
    fits=lambda row: True,
)
LIFT_FREEZE: Final = Act(
    name="lift-freeze",
    permission="passwordless_auth.change_profile",
    label=gettext_lazy("Allow changes again"),
    title=gettext_lazy("Allow changes of the account again"),
    text=gettext_lazy(
        "Somebody pressed “This wasn’t me”, so changes of the account are stopped. Allow them before the time is over "
        "only when you know that its owner has the account, and their mailbox, back. Every proven address is told."
    ),
    done=lambda number: ngettext(
        "The account of {} person can be changed again.", "The accounts of {} people can be changed again.", number
    ).format(number),
    run=_each(operator.lift_freeze),
    fits=is_frozen,
    opens=True,
)


# -- for a ModelAdmin


def _in_list(act: Act, description: _StrPromise) -> tuple[Callable[..., Any], Callable[..., bool]]:
    """An act as an action of a list, and what Django asks for whether to offer it: ``has_<name>_permission``."""

    def may(self: WithActs, request: HttpRequest) -> bool:
        return self.may(request, act)

    @admin.action(description=description, permissions=[act.name.replace("-", "_")])
    def begin(self: WithActs, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.begin_act(request, queryset, act)

    return begin, may


class PasskeyActs(WithActs):
    """Block and unblock, for a ModelAdmin of passkeys."""

    acts = (BLOCK, UNBLOCK)
    actions = ("block", "unblock")

    block, has_block_permission = _in_list(BLOCK, gettext_lazy("Block selected passkeys"))
    unblock, has_unblock_permission = _in_list(UNBLOCK, gettext_lazy("Unblock selected passkeys"))


class MarkActs(WithActs):
    """Lift marks, for a ModelAdmin of marked addresses."""

    acts = (LIFT_MARK,)
    actions = ("lift_mark",)

    lift_mark, has_lift_mark_permission = _in_list(LIFT_MARK, gettext_lazy("Lift the marks of selected addresses"))


class PeopleActs(WithActs):
    """Reset factors, end sessions, lift the freeze: for a ModelAdmin of users or profiles."""

    acts = (RESET, END_SESSIONS, LIFT_FREEZE)
    actions = ("reset_factors", "end_sessions", "lift_freeze")

    reset_factors, has_reset_factors_permission = _in_list(RESET, gettext_lazy("Reset factors of selected people"))
    end_sessions, has_end_sessions_permission = _in_list(
        END_SESSIONS, gettext_lazy("End all sessions of selected people")
    )
    lift_freeze, has_lift_freeze_permission = _in_list(
        LIFT_FREEZE, gettext_lazy("Allow changes to selected people again")
    )
