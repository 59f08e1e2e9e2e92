"""A person signs in, or confirms that it is them, with a passkey (WebAuthn Level 3 §7.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from .. import derivation, throttling
from ..conf import settings
from ..exceptions import (
    CredentialBlocked,
    Disabled,
    Expired,
    InvalidCredential,
    PasswordlessError,
    Spent,
    Superseded,
    TooManyRequests,
    UnknownCredential,
)
from ..identifiers import Identifier
from ..methods import passkey as webauthn
from ..models import Challenge, Level, Passkey, SignIn
from ..models.challenge import use_up
from ..models.event import announce, record
from ..models.passkey import digest_of, note_use, passkey_with
from ..requester import Requester
from . import completion, notices
from .completion import Outcome

#: A P-256 key of nobody: what an assertion by an unknown credential is checked with.
_NOBODY: Final = bytes.fromhex(
    "a50102032620012158206b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "2258204fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def start(
    *,
    requester: Requester,
    identifier: Identifier | None = None,
    sign_in: SignIn | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """``PublicKeyCredentialRequestOptionsJSON`` for this browser, and the row that remembers its challenge.

    Without an ``identifier`` the person chooses among their passkeys (autofill, the button). With one, the passkeys of
    its account are named; an unknown address gets a stable decoy. ``sign_in``: a session that is to be confirmed, or a
    sign-in that waits for this step. Raises TooManyRequests.
    """
    now = now or timezone.now()
    user, allow = _allowed(identifier, sign_in)
    to_sign = open_ceremony(
        purpose=Challenge.Purpose.STEP_UP if sign_in else Challenge.Purpose.SIGN_IN,
        identifier=identifier,
        user=user,
        sign_in=sign_in,
        requester=requester,
        now=now,
    )
    return webauthn.request_options(challenge=to_sign, allow=allow)


def open_ceremony(
    *,
    purpose: str,
    user: Any | None,
    identifier: Identifier | None = None,
    sign_in: SignIn | None = None,
    requester: Requester,
    now: datetime,
) -> bytes:
    """Begin a WebAuthn ceremony in this browser, within the limits. Returns what the authenticator is to sign, which
    names the row. Raises TooManyRequests."""
    challenge = Challenge(
        purpose=purpose,
        kind=identifier.kind if identifier else "",
        canonical=identifier.canonical if identifier else "",
        user=user,
        sign_in=sign_in,
        browser_digest=requester.browser_digest,
        ip=requester.ip or None,
        user_agent=requester.user_agent,
        key_id=settings.issuing_key_id,
        accepts_code=False,
        accepts_link=False,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.PASSKEY_CHALLENGE_LIFETIME),
    )
    buckets = [throttling.passkey_starts(requester)]
    try:
        with transaction.atomic(durable=True):
            throttling.hit(buckets, now=now)
            challenge.save(force_insert=True)
    except TooManyRequests as refusal:
        throttling.note_refusal(refusal, buckets, requester=requester, now=now)
        raise
    return derivation.webauthn_challenge_for(
        public_id=challenge.public_id,
        key_id=challenge.key_id,
        purpose=challenge.purpose,
        browser_digest=challenge.browser_digest,
    )


def _allowed(identifier: Identifier | None, sign_in: SignIn | None) -> tuple[Any | None, list[tuple[bytes, list[str]]]]:
    """Whose passkeys may answer, and which these are; ``(None, [])`` for anybody's."""
    if sign_in is not None:
        rows = list(Passkey.objects.of(sign_in.user).usable())
        return sign_in.user, [(bytes(row.credential_id), row.transports) for row in rows]
    if identifier is None:
        return None, []
    named = {"kind": identifier.kind, "canonical": identifier.canonical, "for_sign_in": True}
    rows = list(
        Passkey.objects.usable()
        .filter(**{f"user__passwordless_identities__{name}": value for name, value in named.items()})
        .exclude(user__passwordless_identities__proven_at=None)
        .select_related("user")
        .order_by("pk")
    )
    if rows:
        return rows[0].user, [(bytes(row.credential_id), row.transports) for row in rows]
    # SECURITY: otherwise the list would tell which addresses have an account, and a passkey.
    return None, [derivation.decoy_passkey(identifier.canonical)]


def finish(
    credential: Any,
    *,
    requester: Requester,
    establish: Callable[[SignIn], None],
    sign_in: SignIn | None = None,
    next_url: str = "",
    client_id: str = "",
    minimum: Level = Level.RECOVERED,
    now: datetime | None = None,
) -> Outcome:
    """Check an ``AuthenticationResponseJSON`` and complete the sign-in.

    ``sign_in``: the session, or the waiting sign-in, that ``start`` was called for. ``establish`` is called inside the
    transaction that uses the challenge up. Raises InvalidCredential, UnknownCredential, CredentialBlocked, Expired,
    Spent, Superseded, Disabled, StepUpRequired.

    SECURITY: everything that can be refused without knowing the credential is refused first. What is refused after
    that is refused alike for an unknown credential and for a wrong signature: or the ids that ``start`` names for a
    typed address could be told from decoys.
    """
    now = now or timezone.now()
    purpose = Challenge.Purpose.STEP_UP if sign_in else Challenge.Purpose.SIGN_IN
    answer = webauthn.read(credential, ceremony="webauthn.get")
    public_id = named_challenge(answer, purpose=purpose, requester=requester)
    passkey = passkey_with(credential_digest=digest_of(answer.credential_id))
    with transaction.atomic(durable=True):
        whose = _answerable_by(passkey, sign_in, answer)
        if not use_up(public_id, purpose=purpose, requester=requester, now=now, **whose):
            done: Outcome | PasswordlessError = _unanswered(public_id, requester=requester, now=now)
        else:
            done = _weigh(passkey, answer, sign_in, requester, establish, next_url, client_id, minimum, now)
    if isinstance(done, PasswordlessError):
        announce(f"refused_{done.code}", user=passkey.user if passkey else None, requester=requester, method="passkey")
        raise done
    completion.tell(done, requester=requester)
    return done


def named_challenge(answer: webauthn.Answer, *, purpose: str, requester: Requester) -> str:
    """The public id of the challenge that was signed. Raises InvalidCredential when it is not one that this browser was
    given for this purpose."""
    public_id = derivation.public_id_of_webauthn_challenge(
        answer.challenge, purpose=purpose, browser_digest=requester.browser_digest
    )
    if public_id is None or not requester.browser_digest:
        raise InvalidCredential("its challenge was not made for this browser")
    return public_id


def _answerable_by(passkey: Passkey | None, sign_in: SignIn | None, answer: webauthn.Answer) -> dict[str, Any]:
    """``allowCredentials`` honoured: a challenge for a person is answered by a passkey of that person alone, and one
    for anybody only by an answer that says whose it is (§7.2 steps 5 and 6)."""
    if passkey is None:
        return {"whose": "nobody's"}
    user = passkey.user.pk
    if sign_in is not None:
        return {"whose": "of their session", "user": user, "sign_in": sign_in.pk}
    return {"whose": "theirs or open to all" if answer.user_handle else "theirs", "user": user}


def _unanswered(public_id: str, *, requester: Requester, now: datetime) -> PasswordlessError:
    """Why the challenge was not used up."""
    challenge = Challenge.objects.filter(public_id=public_id).first()
    if challenge is None or challenge.expires_at <= now:
        return Expired()
    if challenge.state == Challenge.State.SPENT:
        announce("answer_replayed", user=challenge.user, requester=requester)
        return Spent()
    if challenge.state != Challenge.State.OPEN:
        return Superseded()
    use_up(public_id, purpose=challenge.purpose, requester=requester, now=now)
    return UnknownCredential()  # it was asked for somebody else's, or for a decoy


def _weigh(
    passkey: Passkey | None,
    answer: webauthn.Answer,
    sign_in: SignIn | None,
    requester: Requester,
    establish: Callable[[SignIn], None],
    next_url: str,
    client_id: str,
    minimum: Level,
    now: datetime,
) -> Outcome | PasswordlessError:
    """The challenge is used up: is the answer good? Refusals are returned, so that it stays used up."""
    try:
        public_key = bytes(passkey.public_key) if passkey else _NOBODY
        asserted = webauthn.verify_assertion(answer, challenge=answer.challenge, public_key=public_key)
    except InvalidCredential:
        return UnknownCredential()
    if passkey is None or not passkey.answers_to(answer.user_handle):
        return UnknownCredential()
    if refusal := _refusal(passkey, asserted, requester=requester, now=now):
        return refusal
    try:
        made = (
            completion.running(sign_in.pk)
            if sign_in
            else completion.begin(passkey.user, requester=requester, client_id=client_id, now=now)
        )
    except Superseded as ended:
        return ended
    noted = note_use(
        passkey,
        sign_count=asserted.sign_count,
        backup_eligible=asserted.backup_eligible,
        backed_up=asserted.backed_up,
        user_handle=answer.user_handle,
        browser_digest=requester.browser_digest,
        now=now,
    )
    if not noted:
        return CredentialBlocked()  # since it was read a moment ago; or its counter moved: the next try finds out
    passkey.backup_eligible = asserted.backup_eligible
    made.user = passkey.user
    try:
        due = completion.accept(
            made,
            webauthn.proof_by(passkey, now=now),
            requester=requester,
            minimum=minimum,
            device=passkey,
            now=now,
        )
    except PasswordlessError as refusal:
        return refusal
    if due is not None:
        completion.wait_for_more(made, by_operator=False, now=now)
        return Outcome(sign_in=made, next_url=next_url, due=due)
    establish(made)
    completion.tell_of_browser(made, requester=requester, has_others=passkey.has_others, now=now)
    return Outcome(sign_in=made, next_url=next_url)


def _refusal(
    passkey: Passkey, asserted: webauthn.Asserted, *, requester: Requester, now: datetime
) -> PasswordlessError | None:
    """The signature is right: whoever made it holds the key, and may be told what is wrong with it."""
    if passkey.is_blocked:
        record("blocked_passkey_used", user=passkey.user, requester=requester, now=now, passkey=passkey.public_id)
        return CredentialBlocked()
    if not passkey.user.is_active:
        return Disabled()
    if passkey.backup_eligible is not None and asserted.backup_eligible != passkey.backup_eligible:
        return InvalidCredential("its backup eligibility changed")  # §7.2 step 19: it never may
    if (passkey.sign_count or asserted.sign_count) and asserted.sign_count <= passkey.sign_count:
        # §7.2 step 22: a copy of the authenticator may be in use.
        record("passkey_counter_went_back", user=passkey.user, requester=requester, now=now, passkey=passkey.public_id)
        notices.tell(passkey.user, "passkey_copied", passkey=passkey, requester=requester, now=now)
        return InvalidCredential("its counter went back")
    return None
