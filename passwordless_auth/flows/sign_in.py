"""A person signs in: start, resend, verify, deny.

Whoever asks, for a known, an unknown or a disabled address, walks the same path with the same statements; the
difference is what the message says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.debug import sensitive_variables

from .. import outbox, policies, signals, throttling
from ..conf import settings
from ..exceptions import (
    Expired,
    InvalidAppCode,
    InvalidCode,
    PasswordlessError,
    Spent,
    Superseded,
    TextsPaused,
    TooManyRequests,
    TooManyTries,
    WrongBrowser,
)
from ..identifiers import Identifier, require_reachable
from ..methods import METHODS
from ..models import Challenge, Delivery, Identity, Level, Proof, SignIn, Totp
from ..models.challenge import EXPIRY_OF, PROVING, SIGNING_IN, scope_of, spend, supersede
from ..models.event import announce, record
from ..policies import Rules
from ..requester import Requester
from . import accounts, completion, pumping, recovery, step_up
from .completion import Outcome

#: What a flow does when two requests meet on a unique row: once more, from the beginning.
ATTEMPTS: Final = 3


# -- start


def start(
    identifier: Identifier,
    *,
    requester: Requester,
    rules: Rules | None = None,
    purpose: str = Challenge.Purpose.SIGN_IN,
    client_id: str = "",
    params: dict[str, Any] | None = None,
    next_url: str = "",
    sign_in: SignIn | None = None,
    member: Any = None,
    now: datetime | None = None,
) -> Challenge:
    """Ask an address to prove itself: an open Challenge, and a message on its way.

    A newer challenge of the same purpose, address, client and browser replaces the older one. ``sign_in``: the
    session that a step-up is for, or that adds an address. ``member``: who is signed in, and wants to add this address
    to their account. Raises TooManyRequests, and CountryNotServed.
    """
    require_reachable(identifier)
    now = now or timezone.now()
    rules = rules or Rules()
    for attempt in range(ATTEMPTS):
        # Before the transaction, which so begins by writing: SQLite refuses readers that begin to write beside others.
        identity = accounts.look_up(identifier, requester=requester, with_profile=purpose == Challenge.Purpose.RECOVER)
        if member is not None:
            # SECURITY: whose address it is, if anybody's, decides nothing: who adds one must not find out.
            identity = None
        buckets = _budgets(identifier, requester, known=accounts.knows_browser(identity))
        try:
            with transaction.atomic(durable=True):
                throttling.hit(buckets, now=now)
                challenge = _draft(identifier, identity, requester, rules, purpose, client_id, now)
                challenge.params = params or {}
                challenge.next_url = next_url[:2000]
                challenge.sign_in = sign_in
                challenge.user = member or challenge.user
                supersede(open_scope=challenge.open_scope or "", now=now)
                challenge.save(force_insert=True)
                outbox.post(_message(challenge, _kind(challenge, identity, requester), now))
        except TextsPaused:
            throttling.refund(buckets)
            raise
        except TooManyRequests as refusal:
            throttling.note_refusal(refusal, buckets, requester=requester, now=now)
            raise pumping.refusal_of(refusal) from refusal
        except (IntegrityError, OperationalError):
            # Two starts of one browser at one moment: the loser of the unique scope supersedes the winner.
            throttling.refund(buckets)
            if attempt == ATTEMPTS - 1:
                raise
        else:
            announce("sign_in_started", masked=challenge.masked, requester=requester, purpose=purpose)
            signals.sign_in_started.send_robust(Challenge, challenge=challenge)
            return challenge
    raise AssertionError("unreachable")


def _budgets(identifier: Identifier, requester: Requester, *, known: bool) -> list[throttling.Bucket]:
    """SECURITY: a browser that this account knows has a budget of its own, and what else happens at its IP address
    doesn't count for it: neither a stranger nor a neighbour can lock its owner out."""
    texts = pumping.budgets(identifier, requester, known=known)
    if known:
        return [throttling.sends(identifier, known_browser=requester.browser_digest), *texts]
    return [throttling.sends(identifier, known_browser=""), throttling.starts(requester), *texts]


def _draft(
    identifier: Identifier,
    identity: Identity | None,
    requester: Requester,
    rules: Rules,
    purpose: str,
    client_id: str,
    now: datetime,
) -> Challenge:
    user = identity.user if identity else None
    methods = policies.current().methods_for(user, identifier, rules)
    known = accounts.knows_browser(identity)
    # SECURITY: when strangers have used up an account's wrong guesses, there is no code left to guess. The link
    # goes on working, so the owner is not locked out.
    guesses = throttling.failures_of_account(
        identifier.canonical, known_browser=requester.browser_digest if known else ""
    )
    full = throttling.used_up([guesses, *pumping.pauses(identifier, known=known)], now=now)
    pumping.refuse_paused(full)
    guessed_out = guesses.action in full
    code_expires_at = now + timedelta(seconds=rules.code_lifetime)
    link_expires_at = now + timedelta(seconds=rules.link_lifetime)
    return Challenge(
        purpose=purpose,
        kind=identifier.kind,
        canonical=identifier.canonical,
        identity=identity,
        user=user,
        client_id=client_id,
        browser_digest=requester.browser_digest,
        from_known_browser=known,
        ip=requester.ip or None,
        user_agent=requester.user_agent,
        language=get_language() or "",
        key_id=settings.issuing_key_id,
        code_length=rules.code_length,
        code_alphabet=rules.code_alphabet,
        accepts_code="one_time_code" in methods and not guessed_out,
        accepts_link="magic_link" in methods or guessed_out,
        max_tries=rules.code_tries,
        minimum_level=rules.minimum_level,
        open_scope=scope_of(
            purpose=purpose, identifier=identifier, client_id=client_id, browser_digest=requester.browser_digest
        ),
        created_at=now,
        code_expires_at=code_expires_at,
        link_expires_at=link_expires_at,
        expires_at=max(code_expires_at, link_expires_at),
    )


def _kind(challenge: Challenge, identity: Identity | None, requester: Requester) -> str:
    """What the message says. Every valid address gets one; the owner of an address may know how it stands here."""
    if challenge.purpose == Challenge.Purpose.RECOVER:
        return recovery.kind_of_message(identity)
    if challenge.purpose == Challenge.Purpose.ADD_IDENTITY:
        return challenge.purpose
    if identity is not None:
        if not identity.user.is_active:
            return "disabled"
        return challenge.purpose if identity.for_sign_in else "no_sign_in"
    return challenge.purpose if accounts.may_sign_up(challenge.identifier, requester) else "no_account"


def _message(challenge: Challenge, kind: str, now: datetime) -> Delivery:
    delivery = Delivery(
        kind=kind,
        channel=challenge.identifier.channel,
        canonical=challenge.canonical,
        challenge=challenge,
        user=challenge.user,
        language=challenge.language,
        created_at=now,
        available_at=outbox.leased_until(now=now),
        expires_at=challenge.expires_at,
    )
    delivery.save(force_insert=True)
    return delivery


# -- resend


def resend(challenge: Challenge, *, requester: Requester, now: datetime | None = None) -> Delivery:
    """Send the same code and link once more. Raises what ``start`` and ``verify`` raise of limits and lifetimes."""
    now = now or timezone.now()
    require_open(challenge, now=now)
    known = challenge.from_known_browser
    buckets = _budgets(challenge.identifier, requester, known=known)
    pumping.refuse_paused(throttling.used_up(pumping.pauses(challenge.identifier, known=known), now=now))
    try:
        with transaction.atomic(durable=True):
            throttling.hit(buckets, now=now)
            identity = accounts.look_up(
                challenge.identifier,
                requester=requester,
                with_profile=challenge.purpose == Challenge.Purpose.RECOVER,
            )
            delivery = _message(challenge, _kind(challenge, identity, requester), now)
            outbox.post(delivery)
    except TooManyRequests as refusal:
        throttling.note_refusal(refusal, buckets, requester=requester, now=now)
        raise pumping.refusal_of(refusal) from refusal
    announce("sign_in_resent", masked=challenge.masked, requester=requester)
    return delivery


# -- verify


@sensitive_variables("answer")
def verify(
    challenge: Challenge,
    answer: str,
    *,
    method: str,
    requester: Requester,
    establish: Callable[[SignIn], None],
    elsewhere: bool = False,
    now: datetime | None = None,
) -> Outcome:
    """Check an answer and complete the sign-in, or make it wait for another step (``Outcome.due``).

    ``elsewhere``: the person goes on in another browser than the one that asked. What that one wanted (where to go,
    for which Client) is dropped, since whoever asked there may be somebody else.

    ``establish`` is called with the SignIn inside the transaction that spends the challenge, and makes the session
    or the tokens of it. Identity comes from the challenge alone. Raises InvalidCode, TooManyTries, Expired, Spent,
    Superseded, WrongBrowser, TooManyRequests, Disabled, SignUpClosed, StepUpRequired.
    """
    now = now or timezone.now()
    if challenge.purpose not in SIGNING_IN:
        raise Superseded  # SECURITY: what proves an address for another account makes no session
    if elsewhere:
        if challenge.purpose != Challenge.Purpose.SIGN_IN:
            raise WrongBrowser  # it would raise the session of a browser that is not this one
        challenge.next_url, challenge.client_id, challenge.params = "", "", {}

    def complete(proof: Proof) -> Outcome | PasswordlessError | None:
        return _complete(challenge, answer, proof, requester=requester, establish=establish, now=now)

    outcome = guess(challenge, answer, method=method, requester=requester, now=now, use=complete)
    completion.tell(outcome, masked=challenge.masked, requester=requester)
    return outcome


@sensitive_variables("answer")
def confirm(
    challenge: Challenge, answer: str, *, method: str, requester: Requester, now: datetime | None = None
) -> None:
    """Check an answer without using the challenge up: the first of two steps. Raises what ``verify`` raises of it."""
    now = now or timezone.now()

    def touch(proof: Proof) -> bool | None:
        return Challenge.objects.touch(challenge, method=proof.method, now=now) or None

    guess(challenge, answer, method=method, requester=requester, now=now, use=touch)


Result = TypeVar("Result")


@sensitive_variables("answer")
def guess(
    challenge: Challenge,
    answer: str,
    *,
    method: str,
    requester: Requester,
    now: datetime,
    use: Callable[[Proof], Result | PasswordlessError | None],
) -> Result:
    """Weigh one answer. ``use`` makes something of a right one, in the transaction that weighs it: a result, a refusal
    to be raised, or ``None`` when another request was first."""
    _require_unused(challenge, answer, method, requester, now)
    buckets = _guess_budgets(challenge, requester, method)
    right, done = False, None
    for attempt in range(ATTEMPTS):
        try:
            right, done = _weigh(challenge, answer, method, buckets, now, use)
            break
        except TooManyRequests as refusal:
            throttling.note_refusal(refusal, buckets, requester=requester, now=now)
            raise
        except (IntegrityError, OperationalError):
            # Two browsers proved the same new address at the same moment: one made the account, both sign in to it.
            # Or each wants to cancel the other's message (the first proof does): the database lets one of them go on.
            if attempt == ATTEMPTS - 1:
                raise
    if right and challenge.kind == "phone":
        outbox.post_outcome(challenge)
    if done is None:
        _raise_closed(challenge, now, method, replayed_by=requester if right else None)
    if isinstance(done, InvalidCode):
        _tell_wrong(challenge, requester, method, now)
    elif isinstance(done, PasswordlessError):
        kind = f"refused_{done.code}"
        record(kind, user=challenge.user, masked=challenge.masked, requester=requester, now=now)
        signals.sign_in_failed.send_robust(Challenge, challenge=challenge, code=done.code)
    if isinstance(done, PasswordlessError):
        raise done
    return done


@sensitive_variables("answer")
def _weigh(
    challenge: Challenge,
    answer: str,
    method: str,
    buckets: list[throttling.Bucket],
    now: datetime,
    use: Callable[[Proof], Result | PasswordlessError | None],
) -> tuple[bool, Result | PasswordlessError | None]:
    """Whether the answer is right, and what came of it; ``None`` when the challenge had closed.

    SECURITY: every answer takes its place among the wrong ones, and a right one leaves it free again. Parallel guesses
    so wait for each other at the counters, and none counts beyond a limit, right or wrong."""
    proof = _compare(challenge, answer, method, now)
    with transaction.atomic(durable=True):
        throttling.hit(buckets, now=now, keep=proof is None)
        if proof is not None:
            return True, use(proof)
        if wrong := _counted(challenge, method, now):
            return False, wrong
        # What was not weighed, because the challenge had closed, is no wrong guess.
        transaction.set_rollback(True)
    throttling.refund(buckets)
    return False, None


@sensitive_variables("answer")
def _compare(challenge: Challenge, answer: str, method: str, now: datetime) -> Proof | None:
    try:
        return METHODS[method].check(challenge, answer, now=now)
    except InvalidCode:
        return None


def _counted(challenge: Challenge, method: str, now: datetime) -> InvalidCode | None:
    """A wrong answer, counted; ``None`` when the challenge was not open for one, and so nothing may be told."""
    if method == "magic_link":  # no try at this challenge: 256 bits can't be guessed, and anybody may send one
        return InvalidCode()
    if not Challenge.objects.count_try(challenge, method=method, now=now):
        return None
    challenge.refresh_from_db(fields=["tries"])  # what others counted meanwhile, too
    refusal = InvalidAppCode if method == "totp" else InvalidCode
    return refusal(tries_left=challenge.tries_left)


def _guess_budgets(challenge: Challenge, requester: Requester, method: str) -> list[throttling.Bucket]:
    """SECURITY: guesses are limited by IP address, and codes also by account, over all doors together. A browser that
    the account knows has a budget of its own: nobody else's guesses count against it."""
    known = challenge.from_known_browser and challenge.asked_by(requester)
    buckets = [] if known else [throttling.failures_of_network(requester)]
    digest = requester.browser_digest if known else ""
    if method == "one_time_code":
        buckets.append(throttling.failures_of_account(challenge.canonical, known_browser=digest))
    if method == "totp":
        buckets.append(throttling.totp_failures(challenge.user, known_browser=digest))
    return buckets


def _tell_wrong(challenge: Challenge, requester: Requester, method: str, now: datetime) -> None:
    """A wrong answer is written down and committed: now it may be known."""
    announce("wrong_code", user=challenge.user, masked=challenge.masked, requester=requester, method=method)
    signals.sign_in_failed.send_robust(Challenge, challenge=challenge, code=InvalidCode.code)
    if not challenge.tries_left:
        record("too_many_tries", user=challenge.user, masked=challenge.masked, requester=requester, now=now)
        raise TooManyTries


@sensitive_variables("answer")
def _require_unused(challenge: Challenge, answer: str, method: str, requester: Requester, now: datetime) -> None:
    try:
        require_open(challenge, now=now, method=method)
    except Spent:
        if _compare(challenge, answer, method, now):
            note_replay(challenge, requester=requester)
        raise


def note_replay(challenge: Challenge, *, requester: Requester) -> None:
    """Somebody came with the right answer to a challenge that is used up: a second press, or a thief. To the log, and
    not to the table, which whoever has the answer could fill."""
    announce("answer_replayed", user=challenge.user, masked=challenge.masked, requester=requester)


def require_open(challenge: Challenge, *, now: datetime, method: str | None = None) -> None:
    """Raise why a challenge no longer counts, if it does not. Tells nothing about any answer."""
    if challenge.purpose not in PROVING:
        raise Superseded  # SECURITY: nobody signs in with what undoes a change, or enrols a device
    if challenge.state == Challenge.State.SPENT:
        raise Spent
    if challenge.state != Challenge.State.OPEN:
        raise Superseded
    if not challenge.tries_left:
        raise TooManyTries
    ends_at = getattr(challenge, EXPIRY_OF[method] if method else "expires_at")
    if ends_at is None or ends_at <= now:
        raise Expired


def _raise_closed(challenge: Challenge, now: datetime, method: str, *, replayed_by: Requester | None) -> NoReturn:
    """Another request was first: say what became of the challenge. ``replayed_by``: who came with its right answer."""
    try:
        challenge.refresh_from_db(fields=["state", "tries"])
    except Challenge.DoesNotExist:  # its user was deleted
        raise Expired from None
    if replayed_by:
        note_replay(challenge, requester=replayed_by)
    require_open(challenge, now=now, method=method)
    raise Spent  # it was open a moment ago and is now, but was not in between: no answer gets through on that


@sensitive_variables("answer")
def _complete(
    challenge: Challenge,
    answer: str,
    proof: Proof,
    *,
    requester: Requester,
    establish: Callable[[SignIn], None],
    now: datetime,
) -> Outcome | PasswordlessError | None:
    """Use the challenge up, and make of it a session or a refusal; ``None`` when another request used it up."""
    if not spend(challenge, method=proof.method, now=now):
        return None
    try:
        device = METHODS[proof.method].use_up(challenge, answer, now=now)
        outcome = _admit(challenge, proof, device, requester=requester, now=now)
    except PasswordlessError as refusal:
        return refusal  # and the challenge stays spent
    if outcome.due is None:
        establish(outcome.sign_in)
        completion.tell_of_browser(
            outcome.sign_in, requester=requester, challenge=challenge, has_others=challenge.has_others, now=now
        )
    if challenge.purpose == Challenge.Purpose.RECOVER:
        recovery.after_recovery(outcome.sign_in, "account_recovered", requester=requester, now=now)
    return outcome


def _admit(challenge: Challenge, proof: Proof, device: Totp | None, *, requester: Requester, now: datetime) -> Outcome:
    """Who is it, what did they prove, may they come in."""
    if challenge.purpose == Challenge.Purpose.RECOVER:
        admitted = recovery.admit(challenge)
    else:
        admitted = accounts.admit(challenge, requester=requester, now=now)
    sign_in = step_up.raised(challenge, admitted.user) or completion.begin(
        admitted.user, requester=requester, client_id=challenge.client_id, now=now
    )
    by_operator = not challenge.proves_address
    due = completion.accept(
        sign_in,
        proof,
        requester=requester,
        minimum=challenge.minimum_level or Level.RECOVERED,
        recovering=challenge.purpose == Challenge.Purpose.RECOVER,
        by_operator=by_operator,
        device=device,
        is_new_account=admitted.created,
        now=now,
    )
    if due is not None:
        completion.wait_for_more(sign_in, by_operator=by_operator, now=now)
        # So the page that waits for this message in another tab finds where it goes on.
        Challenge.objects.filter(pk=challenge.pk).update(sign_in=sign_in)
    return Outcome(sign_in=sign_in, created=admitted.created, next_url=challenge.next_url, due=due)


# -- deny


def deny(challenge: Challenge, *, requester: Requester, now: datetime | None = None) -> None:
    """Stop a sign-in that its address' owner did not ask for: no code and no link of it works from now on."""
    now = now or timezone.now()
    if Challenge.objects.filter(pk=challenge.pk).cancel(now=now):
        record("sign_in_denied", user=challenge.user, masked=challenge.masked, requester=requester, now=now)
