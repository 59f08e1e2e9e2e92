"""The only door to ``auth.login`` and, but for a form that waits in it (``kept_form``), the only writer of
``request.session``; also ends sessions elsewhere.

What a session needs to know at every request (level, methods, time of the last proof) is copied into it from its
SignIn, so that an authenticated request costs nothing beyond Django's own look-ups.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from importlib import import_module
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDatabaseStore
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import router, transaction
from django.middleware.csrf import rotate_token
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject
from django.utils.http import http_date
from django_otp import DEVICE_ID_SESSION_KEY

from . import kept_form, policies, signals
from .conf import settings
from .exceptions import Superseded
from .models import Level, Profile, SignIn
from .models.compiled import insert_written_once
from .models.event import announce
from .models.sign_in import RUN_OUT

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

logger = logging.getLogger("passwordless_auth")

BACKEND: Final = "passwordless_auth.backends.SignInBackend"
#: What a session of ours holds under this key: see ``_facts``.
DATA: Final = "_passwordless_auth"
#: When other code began a session (seconds since 1970), under this key.
BEGUN: Final = "_passwordless_auth_begun"
#: Seconds between two notes of when a session was last used.
SEEN_EVERY: Final = 300

#: Set on a request whose session got a new key from us.
_MOVED: Final = "_passwordless_auth_moved"
#: Set on a request: what saves its session, until that is done.
_UNSAVED: Final = "_passwordless_auth_unsaved"
#: Set on a request: key and content of its session before we changed it.
_BEFORE: Final = "_passwordless_auth_before"


def session_store() -> type[SessionBase]:
    """The class of the host's session engine."""
    store: type[SessionBase] = import_module(django_settings.SESSION_ENGINE).SessionStore
    return store


def is_transactional(store: type[SessionBase]) -> bool:
    """Whether a session is saved by the transaction around it, and rolled back with it."""
    return issubclass(store, DatabaseStore) and not issubclass(store, CachedDatabaseStore)


# -- beginning


def establish(request: HttpRequest, sign_in: SignIn) -> None:
    """Give a completed SignIn its session: a new one, or for a step-up the one that it has.

    To be called inside the transaction that spends the challenge. Raises Superseded when a step-up's session is no
    longer the one of this request.
    """
    _begin_at_the_beginning(request)
    if sign_in._state.adding or sign_in.pending_until is not None:
        sign_in.pending_until, sign_in.may_enrol = None, False
        log_in(request, sign_in)
        return
    facts = request.session.get(DATA)
    if not facts or facts["sign_in"] != sign_in.pk:
        raise Superseded
    raise_level(request, sign_in)


def _begin_at_the_beginning(request: HttpRequest) -> None:
    """A flow that met another one is rolled back and begins again: then its session has to, too. Or what it replaces
    would be the session of the first attempt, which nobody has, and the old one would live on."""
    session = request.session
    before = getattr(request, _BEFORE, None)
    if before is None:
        setattr(request, _BEFORE, (session.session_key, dict(session.items())))
        return
    key, content = before
    session.clear()
    session.update(content)
    session._session_key = key


def log_in(request: HttpRequest, sign_in: SignIn) -> None:
    """Make this request's session the one of an unsaved SignIn, under a new key, and save both.

    To be called inside the transaction that spends the challenge: a database session is committed with it, others
    are saved right after the commit. What the visitor's session held before (a basket) is kept, unless it was
    another person's. Sends Django's ``user_logged_in``; for a recovered SignIn it does not, since Django is told of
    nobody: see ``_log_in_recovered``.
    """
    session = request.session
    user = sign_in.user
    _end_replaced(session, by=sign_in)
    session.pop(DEVICE_ID_SESSION_KEY, None)  # SECURITY: what verified the session before verifies not this one
    if sign_in.level == Level.RECOVERED:
        _log_in_recovered(request, sign_in)
        return
    if session.get(auth.SESSION_KEY) != user._meta.pk.value_to_string(user):
        _forget_other_person(session)
    stale_key = _move(request, sign_in)
    session[auth.SESSION_KEY] = user._meta.pk.value_to_string(user)
    session[auth.BACKEND_SESSION_KEY] = BACKEND
    session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
    # Django finds the user in place: it then neither draws a second key nor saves, which would cost three statements
    # and a second commit. It rotates the CSRF token, stamps last_login and tells its receivers.
    auth.login(request, user, backend=BACKEND)
    _save(request, stale_key)


def _log_in_recovered(request: HttpRequest, sign_in: SignIn) -> None:
    """Give a recovered SignIn a session in which Django finds nobody.

    SECURITY: such a session may add a passkey and see the account, and nothing else (NIST SP 800-63B-4 §4.2). So it is
    no Django login: the user is under ``DATA`` alone, where only our own pages look (``show_recovered``). To the admin,
    to ``login_required``, to an API, a consumer of websockets or any middleware, in whatever order, it is a visitor's.
    """
    _forget_other_person(request.session)  # the same person's things, too: they are for who is signed in
    for name in (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY):
        request.session.pop(name, None)
    stale_key = _move(request, sign_in)
    rotate_token(request)
    request.user = AnonymousUser()
    _save(request, stale_key)


def raise_level(request: HttpRequest, sign_in: SignIn) -> None:
    """Write what a further proof made of a SignIn into its session, under a new key (ASVS 7.2.4)."""
    if auth.SESSION_KEY not in request.session and sign_in.level != Level.RECOVERED:
        log_in(request, sign_in)  # a recovered person has arrived: from now on, Django knows them
        return
    stale_key = _move(request, sign_in)
    rotate_token(request)
    _save(request, stale_key)


def _move(request: HttpRequest, sign_in: SignIn) -> str | None:
    """Give the session a new key, and the SignIn and the session to each other. Returns the old key."""
    session = request.session
    stale_key = session.session_key
    # Django's own generator first asks whether the key is taken; the INSERT of the session finds out by itself.
    session._session_key = secrets.token_hex(16)
    sign_in.remember_session(session._session_key)
    sign_in.save()
    session[DATA] = _facts(sign_in, session._session_key)
    if sign_in.otp_device_id:
        session[DEVICE_ID_SESSION_KEY] = sign_in.otp_device_id  # django-otp: request.user.is_verified()
    session.set_expiry(_expiry(_end_of_life(sign_in), now=sign_in.auth_time))
    return stale_key


def _save(request: HttpRequest, stale_key: str | None) -> None:
    session = request.session
    setattr(request, _MOVED, session.session_key)

    def save() -> None:
        if getattr(request, _UNSAVED) is not save:
            return
        setattr(request, _UNSAVED, None)
        _create(session)
        # Once is enough: SessionMiddleware would write it again. It would also set the cookie: SignInMiddleware does.
        session.modified = False
        if stale_key:
            session.delete(stale_key)

    setattr(request, _UNSAVED, save)
    if is_transactional(type(session)):
        save()
    else:
        transaction.on_commit(save)


def _create(session: SessionBase) -> None:
    """Save a session under its new key."""
    if not isinstance(session, DatabaseStore) or type(session).save is not DatabaseStore.save:
        session.save(must_create=True)
        return
    # Django's own would put a savepoint around the INSERT, two more statements. The transaction of the sign-in is
    # around it: should the key be taken, it is rolled back and begins again with another one.
    row = session.create_model_instance(dict(session.items()))
    row._do_insert = MethodType(insert_written_once, row)
    row.save(force_insert=True, using=router.db_for_write(type(row), instance=row))


def _facts(sign_in: SignIn, key: str) -> dict[str, Any]:
    proven_at = policies.proven_at(sign_in.all_proofs())
    user, recovered = sign_in.user, {}
    if sign_in.level == Level.RECOVERED:
        # What Django keeps in the session of who is signed in: see _log_in_recovered.
        recovered = {"user": user._meta.pk.value_to_string(user), "hash": user.get_session_auth_hash()}
    return {
        **recovered,
        "sign_in": sign_in.pk,
        "person": Profile.objects.of(user).handle,
        "level": sign_in.level,
        "methods": sign_in.methods,
        "created_at": int(sign_in.created_at.timestamp()),
        "auth_time": int(sign_in.auth_time.timestamp()),
        # When two factors, and when a passkey, last proved.
        "strong_time": proven_at[Level.MULTI],
        "phr_time": proven_at[Level.PHR],
        "minimum": sign_in.minimum_level,
        "until": _end_of_life(sign_in),
        "seen": int(time.time()),
        "key_mark": _mark(key),
    }


def _expiry(until: float, *, now: datetime) -> datetime:
    """When a session that is used now ends: idle, or at the end of its life.

    SECURITY: a moment and not a number of seconds. Seconds begin anew each time any code saves the session, so a page
    that does would keep it alive for ever; and the file engine never ends a session that has a number.
    """
    return now + timedelta(seconds=min(settings.SESSION_IDLE, until - now.timestamp()))


def _end_of_life(sign_in: SignIn) -> int:
    life = settings.RECOVERED_LIFETIME if sign_in.level == Level.RECOVERED else settings.SESSION_LIFETIME
    return int(sign_in.created_at.timestamp()) + life


def _mark(key: str) -> str:
    """Tells whether a session's key is still the one that its SignIn remembers; of no use for finding the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _forget_other_person(session: SessionBase) -> None:
    if auth.SESSION_KEY in session:
        # SECURITY: what another person left in this session (a basket, a half-filled form) is not this one's.
        session.clear()


def _end_replaced(session: SessionBase, *, by: SignIn) -> None:
    facts = session.get(DATA)
    if facts and facts["sign_in"] != by.pk:
        SignIn.objects.end(facts["sign_in"], now=timezone.now(), reason="replaced")


# -- reading


def facts_of(request: HttpRequest) -> dict[str, Any] | None:
    """What the session knows of its SignIn: ``sign_in`` (pk), ``person`` (the Profile's handle), ``level``,
    ``methods``, ``created_at``, ``auth_time`` and ``until`` (seconds since 1970). ``None`` for visitors, and for
    sessions that other code made."""
    if not request.user.is_authenticated:
        return None
    return _facts_in(request.session)


def _facts_in(session: SessionBase) -> dict[str, Any] | None:
    """What the session holds of its SignIn. ``None`` also where other code logged somebody in to a recovered session:
    what was recovered is not theirs."""
    facts: dict[str, Any] | None = session.get(DATA)
    if facts is None or (facts["level"] == Level.RECOVERED) == (auth.SESSION_KEY in session):
        return None
    return facts


def show_recovered(request: HttpRequest) -> None:
    """Let a page of ours know who is in a recovered session: from now on ``request.user`` is that person. Costs
    nothing until it is used, and then what Django's own look-up costs."""
    before = request.user

    def look_up() -> Any:
        facts = _facts_in(request.session)
        return _recovered_person(request, facts) if facts and "user" in facts else before

    request.user = SimpleLazyObject(look_up)  # type: ignore[assignment]


def _recovered_person(request: HttpRequest, facts: dict[str, Any]) -> Any:
    """As ``django.contrib.auth.get_user`` finds the user of other sessions: active, and with the password hash that
    the session was made under."""
    user_model = auth.get_user_model()
    user: Any = auth.load_backend(BACKEND).get_user(user_model._meta.pk.to_python(facts["user"]))
    if user is None or not any(constant_time_compare(facts["hash"], known) for known in _auth_hashes(user)):
        SignIn.objects.end(facts["sign_in"], now=timezone.now(), reason="deactivated")
        request.session.flush()
        return AnonymousUser()
    # What django-otp's middleware says of everybody else; a recovery verifies nothing.
    user.otp_device, user.is_verified = None, lambda: False
    return user


def _auth_hashes(user: Any) -> list[str]:
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]


def current(request: HttpRequest) -> SignIn | None:
    """The SignIn of this request's session, from the database; ``None`` when there is none alive."""
    facts = facts_of(request)
    return SignIn.objects.live().filter(pk=facts["sign_in"]).first() if facts else None


def level_of(request: HttpRequest) -> Level | None:
    """The level that this session counts for now: of ``multi`` and ``phr``, what a proof within ``LEVEL_LIFETIME``
    stands for; after that ``single``. ``None`` for a visitor, and for a session that other code made."""
    facts = facts_of(request)
    if not facts:
        return None
    level = Level(facts["level"])
    if level.rank <= Level.SINGLE.rank:
        return level
    for counted, at in ((Level.PHR, facts["phr_time"]), (Level.MULTI, facts["strong_time"])):
        if level.meets(counted) and time.time() - at < settings.LEVEL_LIFETIME:
            return counted
    return Level.SINGLE


def minimum_of(request: HttpRequest) -> Level:
    """The level that a confirmation in this session must have: who has a second factor, or must have one, is not
    confirmed by a mailbox."""
    facts = facts_of(request)
    minimum = Level(facts["minimum"]) if facts and facts["minimum"] else Level.SINGLE
    return minimum if minimum.meets(Level.SINGLE) else Level.SINGLE


def is_recent(request: HttpRequest, level: Level = Level.SINGLE, *, since: int = 0) -> bool:
    """Whether this session was confirmed within ``STEP_UP_LIFETIME`` and after ``since`` (seconds since 1970), at this
    level at least and at the level that its account asks for.

    SECURITY: judged by method and time (MF-01): what a passkey proved this morning and a mailbox this minute is not a
    recent passkey.
    """
    facts, counts_for = facts_of(request), level_of(request)
    if facts is None or counts_for is None:
        return False
    wanted = max(level, minimum_of(request), key=lambda each: each.rank)
    times = {Level.PHR: facts["phr_time"], Level.MULTI: facts["strong_time"]}
    at = times.get(wanted, facts["auth_time"])
    return at > since and time.time() - at < settings.STEP_UP_LIFETIME and counts_for.meets(wanted)


def on_logged_in(sender: object, request: HttpRequest | None, user: Any, **_kwargs: Any) -> None:
    """Receiver of Django's ``user_logged_in``: note when other code began this session.

    SECURITY: the user's ``last_login`` would not do. It moves whenever its owner signs in anywhere, and would make a
    stolen old session of theirs look new.
    """
    session: SessionBase | None = getattr(request, "session", None)
    if session is not None and session.get(auth.BACKEND_SESSION_KEY, BACKEND) != BACKEND:
        session[BEGUN] = int(time.time())


def begun_by_other_code(request: HttpRequest) -> int:
    """When other code began this session (seconds since 1970); 0 when that is not known."""
    return int(request.session.get(BEGUN, 0))


# -- ending


def end(sign_ins: Iterable[SignIn], *, reason: str, now: datetime | None = None) -> int:
    """End these SignIns and delete their sessions wherever they are; one that waits for another step waits in vain. Of
    those that have run out before, what apps were given in them ends. Returns how many there were but these."""
    now = now or timezone.now()
    store = session_store()()
    ended = 0
    ran_out = []
    for sign_in in sign_ins:
        if sign_in.end_reason == RUN_OUT:
            ran_out.append(sign_in.pk)
        if sign_in.ended_at is not None:
            continue
        # The row first: where the engine can't be trusted to forget, the row is asked at every request.
        if not SignIn.objects.end(sign_in.pk, now=now, reason=reason):
            continue
        ended += 1
        # SECURITY: only now. Ending the row waited for whoever was giving the session a new key, or it would live on
        # under that.
        sign_in.refresh_from_db(fields=["session_key_sealed"])
        key = sign_in.session_key()
        if key:
            store.delete(key)
        elif sign_in.session_key_sealed:
            # Its key was dropped from the settings: what can't be found by name ends with all others of its user.
            logger.error("The session of a sign-in can't be opened any more; all sessions of its user end")
            renew_hash(sign_in.user)
        if sign_in.pending_until is None:
            _tell_end(sign_in, reason)
    if ran_out:
        SignIn.objects.void(ran_out, now=now, reason=reason)
    return ended


def end_all(user: Any, *, reason: str, now: datetime | None = None) -> int:
    """End every SignIn of this user, and all that other apps have opened in their name. Returns how many SignIns there
    were."""
    now = now or timezone.now()
    ended = end(SignIn.objects.begun().filter(user=user), reason=reason, now=now)
    signals.access_ending.send(type(user), user=user, reason=reason, now=now)
    return ended


def renew_hash(user: Any) -> None:
    """End all sessions of this user: a new unusable password changes what Django compares sessions with at every
    request. A usable password is left alone: it is the user's own, and so are the sessions made with it."""
    if not user.has_usable_password():
        user.set_unusable_password()
        user.save(update_fields=["password"])


def log_out(request: HttpRequest) -> None:
    """End this request's session, on the server."""
    auth.logout(request)


def on_logged_out(sender: object, request: HttpRequest | None, user: Any, **_kwargs: Any) -> None:
    """Receiver of Django's ``user_logged_out``: whoever ends a session, its SignIn ends."""
    facts = request.session.get(DATA) if request is not None else None
    if facts:
        sign_in = SignIn.objects.live().filter(pk=facts["sign_in"]).first()
        if sign_in and SignIn.objects.end(sign_in.pk, now=timezone.now(), reason="signed_out"):
            if user is not None:
                sign_in.user = user  # it is the same one, and here already
            _tell_end(sign_in, "signed_out")


def keep_only(request: HttpRequest) -> None:
    """End the sessions of this user that other code made, but not this one."""
    renew_hash(request.user)
    request.session[auth.HASH_SESSION_KEY] = request.user.get_session_auth_hash()  # type: ignore[union-attr]


def _tell_end(sign_in: SignIn, reason: str) -> None:
    announce("signed_out", user=sign_in.user, reason=reason)
    transaction.on_commit(
        lambda: signals.signed_out.send_robust(SignIn, user=sign_in.user, sign_in=sign_in, reason=reason),
        robust=True,
    )


# -- around each request (called by the middleware)


def refuse_ended(request: HttpRequest) -> None:
    """Where the engine is not the database, ask the SignIn's row.

    A cache may resurrect a session that was deleted while another request was reading it, and some caches are one
    per process. The look-up takes the place of the session's own query, which such an engine saves.
    """
    session = request.session
    if not session.session_key:
        return
    if not session.session_key.isprintable():
        # A made-up cookie (quoting lets it hold any character): PostgreSQL raises instead of not finding it.
        request.session = type(session)()
        return
    if is_transactional(type(session)):
        return
    facts = session.get(DATA)
    if facts and not SignIn.objects.live().filter(pk=facts["sign_in"]).exists():
        session.flush()
        # Another middleware may already have looked who it is.
        request.user = AnonymousUser()
        for cached in ("_cached_user", "_acached_user"):
            request.__dict__.pop(cached, None)


def after_response(request: HttpRequest, response: HttpResponseBase) -> None:
    """Note the visit, follow a key that other code changed, set the cookie of a session that is already saved."""
    session = request.session
    if session.accessed and response.status_code < 500:
        facts = _facts_in(session)
        if facts:
            _keep_up(request, session, facts)
    unsaved = getattr(request, _UNSAVED, None)
    if unsaved and response.status_code < 400 and transaction.get_connection().in_atomic_block:
        unsaved()  # nothing is open around a request but the transaction of a TestCase, which never commits
    moved = getattr(request, _MOVED, None)
    if moved and moved == session.session_key and not session.modified and response.status_code < 500:
        _set_cookie(session, response)


def _keep_up(request: HttpRequest, session: SessionBase, facts: dict[str, Any]) -> None:
    user = getattr(request, "_cached_user", None)
    is_gone = user is not None and not user.is_authenticated and facts["level"] != Level.RECOVERED
    if is_gone and not hasattr(request, _MOVED):
        # The account was deactivated or deleted: its session must not come back to life with it.
        SignIn.objects.end(facts["sign_in"], now=timezone.now(), reason="deactivated")
        session.flush()
        return
    now = timezone.now()
    key = session.session_key
    if key and facts["key_mark"] != _mark(key):
        if not _follow_key(facts["sign_in"], key):
            session.flush()  # it was ended while other code moved it: under its old key, which nobody had any more
            return
        session[DATA] = {**facts, "key_mark": _mark(key)}
    kept_form.drop_expired(session, now=now)
    if now.timestamp() - facts["seen"] >= SEEN_EVERY:
        SignIn.objects.seen(facts["sign_in"], now=now)
        session[DATA] = {**session[DATA], "seen": int(now.timestamp())}
        session.set_expiry(_expiry(facts["until"], now=now))


def _follow_key(pk: int, key: str) -> bool:
    """Other code called ``cycle_key()`` (a password change does): remember the new key, or it could not be ended. False
    when it has ended."""
    sign_in = SignIn.objects.live().filter(pk=pk).first()
    if sign_in is None:
        return False
    sign_in.remember_session(key)
    running = SignIn.objects.live().filter(pk=pk)
    return running.update(session_key_sealed=sign_in.session_key_sealed) == 1


def _set_cookie(session: SessionBase, response: HttpResponseBase) -> None:
    """The cookie that SessionMiddleware would set, by the same settings."""
    at_close = session.get_expire_at_browser_close()
    max_age = None if at_close else session.get_expiry_age()
    response.set_cookie(
        django_settings.SESSION_COOKIE_NAME,
        session.session_key or "",
        max_age=max_age,
        expires=None if max_age is None else http_date(time.time() + max_age),
        domain=django_settings.SESSION_COOKIE_DOMAIN,
        path=django_settings.SESSION_COOKIE_PATH,
        secure=django_settings.SESSION_COOKIE_SECURE or False,
        httponly=django_settings.SESSION_COOKIE_HTTPONLY or False,
        samesite=django_settings.SESSION_COOKIE_SAMESITE,
    )
