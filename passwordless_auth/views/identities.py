"""The page of a person's addresses: add, prove, change, remove, and link accounts by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import settings
from ..decorators import to_step_up
from ..exceptions import ChangesStopped, PasswordlessError, StepUpRequired
from ..flows import enrolment, identities, linking, recovery
from ..forms import IdentifierForm
from ..models import Challenge, Identity, Profile
from .base import Action, PageView, is_recovered, see_other, ways_to_change
from .passkey import session_of
from .sign_in import identities_url, wait_url

#: What the page can say has been done.
NOTICES: Final = frozenset({"added", "already", "primary", "uses", "removed", "linked", "declined", "unlinked"})


class IdentitiesPageView(PageView):
    """A page about the addresses of who is signed in. Whoever may not change them yet proves who they are first; what
    they have sent comes back with them."""

    page = "identities"
    for_members = True

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        stopped = isinstance(refusal, ChangesStopped) or is_recovered(self.request)
        if isinstance(refusal, StepUpRequired) and not stopped:
            return to_step_up(self.request, recovery.level_to_prepare(self.member))
        return super().refuse(refusal)

    def actions_after(self, refusal: PasswordlessError) -> list[Action]:
        if is_recovered(self.request):
            return super().actions_after(refusal)
        return [Action(_("Back to your addresses"), identities_url(), primary=True)]


class IdentitiesView(IdentitiesPageView):
    """GET lists a person's addresses, and offers what a proven address of another account allows. POST, by ``action``:

    ``add`` (``identifier``) sends a message to an address; ``primary``, ``uses`` (ticks named ``use``: ``sign_in``,
    ``recovery``, ``notices``), ``remove`` and ``unlink`` change the one named ``identity``; ``link`` and ``decline``
    answer the offer named ``challenge``.
    """

    form_class = IdentifierForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self._page(self.form_class())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actions = {
            "add": self._add,
            "primary": self._primary,
            "uses": self._uses,
            "remove": self._remove,
            "unlink": self._unlink,
            "link": self._link,
            "decline": self._decline,
        }
        act = actions.get(request.POST.get("action", ""))
        return act() if act else see_other(identities_url())

    def _add(self) -> HttpResponseBase:
        form = self.form_class(self.request.POST)
        if not form.is_valid():
            return self._page(form, status=400, error_code="invalid_identifier")
        identifier = form.cleaned_data["identifier"]
        challenge = identities.start(
            session_of(self.request), identifier, requester=self.with_browser(), next_url=identities_url()
        )
        if challenge is None:
            return see_other(identities_url("already", kind=identifier.kind))
        return self.keep_browser(see_other(wait_url(challenge)))

    def _primary(self) -> HttpResponseBase:
        return self._changed("primary", identities.make_primary)

    def _uses(self) -> HttpResponseBase:
        ticked = self.request.POST.getlist("use")
        uses = identities.Uses(sign_in="sign_in" in ticked, recovery="recovery" in ticked, notices="notices" in ticked)
        return self._changed("uses", identities.set_uses, uses)

    def _remove(self) -> HttpResponseBase:
        return self._changed("removed", identities.remove)

    def _unlink(self) -> HttpResponseBase:
        return self._changed("unlinked", linking.unlink)

    def _link(self) -> HttpResponseBase:
        linking.link(session_of(self.request), self.request.POST.get("challenge", ""), requester=self.requester)
        return see_other(identities_url("linked"))

    def _decline(self) -> HttpResponseBase:
        linking.decline(session_of(self.request), self.request.POST.get("challenge", ""), requester=self.requester)
        return see_other(identities_url("declined"))

    def _changed(self, notice: str, change: Callable[..., bool], *how: Any) -> HttpResponseBase:
        """Make this change of the address that is named, and say so on the page."""
        named = self.request.POST.get("identity", "")
        row = Identity.objects.filter(user=self.member).with_public_id(named).first()
        changed = change(session_of(self.request), named, *how, requester=self.requester)
        return see_other(identities_url(notice, kind=row.kind) if changed and row else identities_url())

    def _page(self, form: IdentifierForm, *, status: int = 200, error_code: str = "") -> HttpResponseBase:
        session = session_of(self.request)
        notice = self.request.GET.get("notice", "")
        offered = linking.offers(session, requester=self.requester).alive_at(timezone.now()).first()
        return self.page_response(
            status=status,
            error_code=error_code,
            form=form,
            identities=[shown(row) for row in identities.of(self.member)],
            offer=_offer(offered) if offered else None,
            may_change=recovery.may_prepare(session),
            stopped=_stopped(session),
            notice=notice if notice in NOTICES else "",
            notice_of="phone" if self.request.GET.get("of") == "phone" else "email",
        )


class IdentityChangeView(IdentitiesPageView):
    """GET shows what can be done with one address (``identity``)."""

    template_name = "passwordless_auth/identity_change.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rows = identities.of(self.member)
        row = next((each for each in rows if each.public_id == request.GET.get("identity")), None)
        if row is None:
            return see_other(identities_url())
        recovery.require_may_prepare(session_of(request))
        return self.page_response(
            identity=shown(row),
            needed=_needed(row, rows),
            days_back=settings.REPORT_LIFETIME // 86400,
            recovers=recovery.recovers_by_address(self.member),
            together=[
                each.identifier.display
                for each in rows
                if row.linked_from_id is not None and each.linked_from_id == row.linked_from_id and each != row
            ],
        )


def shown(row: Identity) -> dict[str, Any]:
    """An address as pages show it."""
    return {
        "public_id": row.public_id,
        "kind": row.kind,
        "address": row.identifier.display,
        "canonical": row.canonical,
        "is_primary": row.is_primary,
        "proven": row.proven_at is not None,
        "for_sign_in": row.for_sign_in,
        "for_recovery": row.for_recovery,
        "for_notices": row.for_notices,
        "linked": row.linked_from_id is not None,
    }


def _offer(offered: Challenge) -> dict[str, str]:
    return {"challenge_id": offered.public_id, "address": offered.identifier.display, "kind": offered.kind}


def _stopped(session: enrolment.Session) -> dict[str, Any] | None:
    """What the page says while a report has stopped changes: ``None`` when this session may make them."""
    profile = Profile.objects.of(session.user)
    if not enrolment.is_frozen_out(profile, session):
        return None
    ways = ways_to_change(session.user, identities_url())
    return {"text": ChangesStopped.detail, "until": profile.frozen_until, "ways": ways}


def _needed(row: Identity, rows: list[Identity]) -> str:
    """What has to come before this address can be removed: ``main`` (another one takes its place), ``another`` (which
    there has to be first), or nothing."""
    if not identities.is_needed(row, rows):
        return ""
    others = [each for each in rows if each != row and each.kind == row.kind and each.proven_at is not None]
    return "main" if others else "another"
