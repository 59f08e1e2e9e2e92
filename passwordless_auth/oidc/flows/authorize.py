"""An authorization request and the person at the browser: what is still due, and what is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from oauthlib.oauth2.rfc6749.errors import AccessDeniedError, LoginRequired, OAuth2Error

from ... import policies, throttling
from ...exceptions import Expired, TooManyRequests
from ...flows import ways_in
from ...models import Identity, KnownBrowser, Level, Profile, Proof, SignIn
from ...models.compiled import CompiledSelect
from ...models.event import announce
from ...requester import Requester
from .. import claims, tokens
from ..conf import settings
from ..models import AuthorizationRequest, ClientSettings, Consent
from ..models.authorization import Authorization
from ..requests import Wishes
from ..server import Draft


@dataclass(frozen=True)
class Present:
    """Who is signed in at this browser. ``sign_in`` is ``None`` in a session that other code made; ``level`` is what it
    counts for now, ``proofs`` what that comes of. ``consented``: the scopes that this person has allowed the Client."""

    user: Any
    sign_in: SignIn | None
    level: Level
    proofs: Sequence[Proof]
    proven_at: datetime
    began_at: datetime
    consented: frozenset[str]
    proven_email: str | None = None
    proven_phone: str | None = None


def _with_consent(pk: int, client_id: str) -> Any:
    consent = Consent.objects.filter(user=OuterRef("user"), application__client_id=client_id)
    rows = SignIn.objects.live().select_related("user__passwordless_profile").filter(pk=pk)
    return claims.with_addresses(rows, "user").annotate(consented=Subquery(consent.values("scope")[:1]))


_sign_in_with_consent: CompiledSelect[Any] = CompiledSelect(_with_consent, pk=int, client_id=str)


def present_in(sign_in_pk: int, *, level: Level, application: Any) -> Present | None:
    """Who the SignIn of a session is, and what they have allowed: one statement. ``None``: it has ended."""
    row = _sign_in_with_consent(pk=sign_in_pk, client_id=application.client_id)
    if row is None:
        return None
    return Present(
        user=row.user,
        sign_in=row,
        level=level,
        proofs=row.all_proofs(),
        proven_at=row.auth_time,
        began_at=row.created_at,
        consented=frozenset((row.consented or "").split()),
        proven_email=row.proven_email,
        proven_phone=row.proven_phone,
    )


def present_by_other_code(user: Any, *, began_at: datetime, application: Any) -> Present:
    """Somebody whom other code of the host signed in, as with a password: one factor, of which we know when."""
    consent = Consent.objects.filter(user=user, application=application).first()
    return Present(
        user=user,
        sign_in=None,
        level=Level.SINGLE,
        proofs=(),
        proven_at=began_at,
        began_at=began_at,
        consented=consent.scopes if consent else frozenset(),
    )


class Due(Enum):
    """What a person has to do before the answer."""

    LOGIN = "login"
    #: For somebody who is signed in: prove it anew.
    CONFIRM = "confirm"
    LEVEL = "level"
    SELECT_ACCOUNT = "select_account"
    CONSENT = "consent"

    @property
    def error(self) -> str:
        """What a Client is told that wants no page to be shown (OpenID Connect Core §3.1.2.6)."""
        return {
            Due.LEVEL: "interaction_required",
            Due.SELECT_ACCOUNT: "account_selection_required",
            Due.CONSENT: "consent_required",
        }.get(self, "login_required")


@dataclass(frozen=True)
class Step:
    """What is due next, elsewhere: on the pages of the sign-in. ``level``: what it has to reach."""

    due: Due
    level: Level = Level.SINGLE


@dataclass(frozen=True)
class Question:
    """What the person who is present is asked by a page of ours."""

    due: Due
    present: Present


def weigh(
    draft: Draft, present: Present | None, row: AuthorizationRequest | None, *, now: datetime
) -> Step | Question | Present:
    """What is due next; or, when nothing is, the person for whom the answer can be given. Raises LoginRequired when
    somebody else has to be signed in than is."""
    wishes: Wishes = draft.request.wishes
    client = ClientSettings.of(draft.request.client)
    if present is None:
        return Step(Due.LOGIN)
    _require_subject(wishes, present, client, draft)
    if _wants_choice(wishes, present, row):
        return Question(Due.SELECT_ACCOUNT, present)
    if "create" in wishes.prompt and not (row and present.began_at > row.created_at):
        return Step(Due.LOGIN)
    if not _is_fresh(present.proven_at, wishes, row, now):
        return Step(Due.CONFIRM, _level_due(wishes, replace(present, level=Level.SINGLE), client) or Level.SINGLE)
    present = _as_proven_lately(present, wishes, row, now)
    level = _level_due(wishes, present, client)
    if level is not None:
        return Step(Due.LEVEL, level)
    if _wants_consent(draft, present, row):
        return Question(Due.CONSENT, present)
    return present


def _require_subject(wishes: Wishes, present: Present, client: ClientSettings, draft: Draft) -> None:
    """``id_token_hint``, or the claim ``sub`` with a value: this person, or nobody (§3.1.2.1, §5.5.1)."""
    wanted = {wishes.subject} - {None}
    if wishes.id_token_hint:
        hint = tokens.read(wishes.id_token_hint, allow_expired=True)
        wanted.add(hint["sub"] if hint else "")
    if wanted and wanted != {claims.subject(present.user, client)}:
        raise LoginRequired(description="Somebody else is signed in.", request=draft.request)


def _wants_choice(wishes: Wishes, present: Present, row: AuthorizationRequest | None) -> bool:
    if "select_account" not in wishes.prompt:
        return False
    if row is None:
        return True
    if present.began_at > max(row.created_at, row.chosen_at or row.created_at):
        return False  # whoever signed in for this has chosen by that
    return row.chosen_at is None or row.chosen != Profile.objects.of(present.user).handle


def _is_fresh(at: datetime, wishes: Wishes, row: AuthorizationRequest | None, now: datetime) -> bool:
    """Whether a proof of this moment is as young as the request wants it. SECURITY: what satisfies ``prompt=login`` is
    a proof that is newer than the request."""
    if row is not None and at > row.created_at:
        return True
    if "login" in wishes.prompt:
        return False
    return wishes.max_age is None or now - at <= timedelta(seconds=wishes.max_age)


def _as_proven_lately(present: Present, wishes: Wishes, row: AuthorizationRequest | None, now: datetime) -> Present:
    """Where a fresh proof is asked for, a session counts for what was proven freshly.

    SECURITY: by method and time (MF-01). What a passkey proved this morning and a mailbox this minute is not a passkey
    of this minute: neither for what the Client must have, nor for what it is told.
    """
    if wishes.max_age is None and "login" not in wishes.prompt:
        return present

    def is_fresh(second: int) -> bool:
        exact = present.proven_at if second == int(present.proven_at.timestamp()) else None
        return _is_fresh(exact or datetime.fromtimestamp(second, UTC), wishes, row, now)

    times = policies.proven_at(present.proofs)
    fresh = [level for level in Level if present.level.meets(level) and is_fresh(times[level])]
    level = max(fresh, key=lambda each: each.rank, default=Level.SINGLE)
    # A message is one half of two factors whenever it came.
    half = level == Level.MULTI
    proofs = [proof for proof in present.proofs if is_fresh(proof.at) or (half and not proof.authenticator)]
    return replace(present, level=level, proofs=proofs)


def _level_due(wishes: Wishes, present: Present, client: ClientSettings) -> Level | None:
    """The level that is missing: one that the Client must have, or one that it would like and that this person has the
    means for (``acr_values`` is voluntary, §3.1.2.1)."""
    lowest = min(wishes.acr, key=lambda level: level.rank, default=None)
    must = [Level(client.minimum_level)] if client.minimum_level else []
    if present.sign_in is None:
        # SECURITY: who has a second factor meets it on every door. One of the host's own may not have asked for it.
        must.append(policies.current().needs(present.user))
    if lowest is not None and wishes.acr_is_essential:
        must.append(lowest)
    missing = [level for level in must if not present.level.meets(level)]
    if missing:
        return max(missing, key=lambda level: level.rank)
    if lowest is None or wishes.acr_is_essential or present.level.meets(lowest) or "none" in wishes.prompt:
        return None
    return lowest if ways_in.can_reach(present.user, lowest) else None


def scopes_to_allow(draft: Draft) -> frozenset[str]:
    """What a person is asked to allow: the scopes, and those that stand for what ``claims`` names."""
    return frozenset(draft.request.scopes) | claims.scopes_of(draft.request.wishes.claims)


def _wants_consent(draft: Draft, present: Present, row: AuthorizationRequest | None) -> bool:
    # SECURITY: by this person. Others may use this browser, too.
    allowed = row is not None and row.allowed == Profile.objects.of(present.user).handle
    if not allowed and ("consent" in draft.request.wishes.prompt or _may_be_an_impostor(draft)):
        return True
    return not draft.request.client.skip_authorization and not scopes_to_allow(draft) <= present.consented


def _may_be_an_impostor(draft: Draft) -> bool:
    """SECURITY: whether any program on the person's device could come with this request: a scheme of its own, or a port
    of this machine, is nobody's for certain. Without a question it would be given a code that it can redeem (RFC 8252
    §8.6), in the name of an app that the site, or the person, trusts."""
    native = ClientSettings.of(draft.request.client).kind == ClientSettings.Kind.NATIVE
    return native and not draft.request.redirect_uri.startswith("https:")


# -- the request's row


def keep(draft: Draft, *, requester: Requester, now: datetime) -> AuthorizationRequest:
    """Keep a request while its person does what is due; this browser alone can go on with it. Raises TooManyRequests:
    anybody can ask."""
    bucket = throttling.per_network("oidc_requests", requester, settings.OIDC_LIMIT_REQUESTS_PER_IP)
    row = AuthorizationRequest(
        application=draft.request.client,
        browser_digest=requester.browser_digest,
        params=dict(draft.params),
        created_at=now,
        expires_at=now + timedelta(seconds=settings.OIDC_AUTHORIZATION_LIFETIME),
    )
    try:
        with transaction.atomic(durable=True):
            throttling.hit([bucket], now=now)
            row.save(force_insert=True)
    except TooManyRequests as refusal:
        throttling.note_refusal(refusal, [bucket], requester=requester, now=now)
        raise
    return row


def kept(public_id: str, *, requester: Requester, now: datetime | None = None) -> AuthorizationRequest:
    """The request of this browser with this id. Raises Expired."""
    rows = AuthorizationRequest.objects.select_related("application__passwordless_settings")
    row = rows.filter(public_id=public_id, browser_digest=requester.browser_digest or "-").first()
    if row is None or row.expires_at <= (now or timezone.now()):
        raise Expired
    return row


@dataclass(frozen=True)
class Account:
    """An account that this browser has signed in to. ``canonical``: its main address, "" without one."""

    handle: str
    canonical: str
    is_current: bool


def accounts_of(requester: Requester, current: Any) -> list[Account]:
    """The accounts that this browser has signed in to, the one that is signed in first, then the newest: one statement,
    and one for who is signed in."""
    mine = Profile.objects.of(current).handle
    main = Identity.objects.filter(user=OuterRef("user")).main_first().values("canonical")[:1]
    browsers = KnownBrowser.objects.filter(browser_digest=requester.browser_digest or "-", user__is_active=True)
    rows: Any = browsers.select_related("user__passwordless_profile").annotate(canonical=Subquery(main))
    found = [
        Account(Profile.objects.of(row.user).handle, row.canonical or "", row.user_id == current.pk)
        for row in rows.order_by("-last_used_at")[:10]
    ]
    if not any(account.is_current for account in found):
        identity = Identity.objects.filter(user=current).main_first().first()
        found.append(Account(mine, identity.canonical if identity else "", True))
    return sorted((each for each in found if each.canonical or each.is_current), key=lambda each: not each.is_current)


def choose(row: AuthorizationRequest, handle: str, *, now: datetime) -> None:
    AuthorizationRequest.objects.filter(pk=row.pk).update(chosen=handle, chosen_at=now)


def allow(draft: Draft, row: AuthorizationRequest, present: Present, *, now: datetime) -> None:
    """Remember what a person allows the Client, so that they are asked only for more."""
    scopes = scopes_to_allow(draft) | present.consented
    with transaction.atomic():
        Consent.objects.update_or_create(
            user=present.user,
            application=draft.request.client,
            defaults={"scope": " ".join(sorted(scopes)), "granted_at": now},
        )
        by = Profile.objects.of(present.user).handle
        AuthorizationRequest.objects.filter(pk=row.pk).update(allowed=by)
        announce("consent_given", user=present.user, client_id=draft.request.client.client_id)


def deny(row: AuthorizationRequest, draft: Draft) -> OAuth2Error:
    """The person says no: the request is over."""
    AuthorizationRequest.objects.filter(pk=row.pk).delete()
    return AccessDeniedError(request=draft.request)


# -- the answer


def give(
    draft: Draft, present: Present, row: AuthorizationRequest | None, *, now: datetime
) -> Sequence[tuple[str, str]]:
    """Make what the Client asked for, in one transaction; returns the parameters of the answer. Raises Expired when
    this request was answered already."""
    client = ClientSettings.of(draft.request.client)
    authorization = Authorization(
        application=draft.request.client,
        user=present.user,
        scope=" ".join(draft.request.scopes),
        nonce=draft.params.get("nonce", ""),
        claims=dict(draft.request.wishes.claims),
        redirect_uri=draft.params.get("redirect_uri", ""),
        created_at=now,
        **_facts(present, client),
    )
    # What the validator reads where it selected the row itself.
    authorization.proven_email, authorization.proven_phone = present.proven_email, present.proven_phone
    with transaction.atomic(durable=True):
        if row is not None and not AuthorizationRequest.objects.filter(pk=row.pk).delete()[0]:
            raise Expired
        answer = draft.answer(authorization)
        if authorization._state.adding:  # nothing to redeem: an ID token alone, or nothing at all
            authorization.save(force_insert=True)
        announce("authorized", user=present.user, client_id=client.application.client_id)
    return answer


def _facts(present: Present, client: ClientSettings) -> Mapping[str, Any]:
    """What is true of the sign-in now, for all tokens to come."""
    row = present.sign_in
    if row is None:
        return {"auth_time": int(present.proven_at.timestamp())}
    amr = dict.fromkeys(value for proof in present.proofs for value in proof.amr)
    return {
        "sign_in": row,
        "auth_time": int(row.auth_time.timestamp()),
        "amr": list(amr),
        "acr": present.level.value,
        "sid": claims.session_id(row.public_id, client),
    }
