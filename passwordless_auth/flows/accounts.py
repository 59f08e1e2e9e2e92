"""Whose address is this: find, adopt or make the user, and keep ``user.email`` and the primary Identity in step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.dispatch import Signal
from django.utils import timezone
from django.utils.crypto import get_random_string

from .. import policies, sessions, signals
from ..derivation import ALPHABETS
from ..exceptions import Disabled, InvalidIdentifier, SignUpClosed
from ..identifiers import Identifier, parse_email
from ..models import AddressMark, Challenge, Identity, KnownBrowser, Passkey, Profile, RecoveryCode, SignIn, Totp
from ..models.compiled import CompiledSelect
from ..models.event import announce, record
from ..requester import Requester


def look_up(identifier: Identifier, *, requester: Requester, with_profile: bool = False) -> Identity | None:
    """The Identity of an address, with whether this browser is known to its user (and the user's profile): one
    statement, whoever it is."""
    select = _with_known_browser_and_profile if with_profile else _with_known_browser
    return select(kind=identifier.kind, canonical=identifier.canonical, browser_digest=requester.browser_digest or "-")


def _named(kind: Any, canonical: str, browser_digest: str) -> Any:
    known = KnownBrowser.objects.filter(user=OuterRef("user"), browser_digest=browser_digest)
    return Identity.objects.named(Identifier(kind, canonical)).annotate(known_browser=Exists(known))


_with_known_browser: CompiledSelect[Identity] = CompiledSelect(_named, kind=str, canonical=str, browser_digest=str)
_with_known_browser_and_profile: CompiledSelect[Identity] = CompiledSelect(
    lambda **values: _named(**values).select_related("user__passwordless_profile"),
    kind=str,
    canonical=str,
    browser_digest=str,
)


def knows_browser(identity: Identity | None) -> bool:
    """Whether the browser that looked this address up has signed in to its account before.

    SECURITY: a browser is known to a user; only an address that the user has proven may profit from it. Or who gets
    somebody else's address into their account could guess its codes with every browser they ever used."""
    return identity is not None and identity.proven_at is not None and bool(getattr(identity, "known_browser", False))


@dataclass(frozen=True)
class Admitted:
    """The person behind a proven address. ``identity`` is ``None`` where none was asked, but an authenticator.
    ``created``: the account is new."""

    user: Any
    identity: Identity | None
    created: bool


def admit(challenge: Challenge, *, requester: Requester, now: datetime) -> Admitted:
    """The user that a just spent challenge signs in.

    Raises Disabled or SignUpClosed. May raise ``IntegrityError`` when another request makes the same account at the
    same moment: the caller rolls back and asks again.
    """
    if not challenge.canonical and challenge.user is not None:
        if not challenge.user.is_active:
            raise Disabled
        return Admitted(user=challenge.user, identity=None, created=False)
    identity = of_challenge(challenge)
    if identity is None:
        identity = adopt(challenge.identifier, now=now)
    if identity is None:
        return _sign_up(challenge, requester=requester, now=now)
    if not identity.user.is_active or not identity.for_sign_in:
        raise Disabled
    # A link that an administrator hands out lets its holder in; that they read this mailbox it does not prove.
    if challenge.proves_address:
        prove(identity, requester=requester, now=now)
    return Admitted(user=identity.user, identity=identity, created=False)


def of_challenge(challenge: Challenge) -> Identity | None:
    """The Identity of a challenge's address, now: since the challenge began, the address may have got one (another tab)
    or changed its own."""
    identity = challenge.identity
    if identity is None or identity.canonical != challenge.canonical:
        return Identity.objects.named(challenge.identifier).first()
    return identity


def _sign_up(challenge: Challenge, *, requester: Requester, now: datetime) -> Admitted:
    identifier = challenge.identifier
    if not may_sign_up(identifier, requester):
        raise SignUpClosed
    user = new_user(identifier)
    # The Identity first would be nicer (it is what is unique), but it needs the user's key; the receiver that follows
    # user.email stands back, or it would make the same Identity.
    user._passwordless_auth_origin = Identity.Origin.SIGN_UP
    user.save(force_insert=True)
    del user._passwordless_auth_origin
    identity = attach(user, identifier, origin=Identity.Origin.SIGN_UP, proven_at=now)
    Profile.objects.create(user=user, language=challenge.language)
    announce("signed_up", user=user, masked=identity.masked, requester=requester)
    return Admitted(user=user, identity=identity, created=True)


def may_sign_up(identifier: Identifier, requester: Requester) -> bool:
    """Whether the first sign-in with an unknown address makes an account. By phone only where the host's user model
    takes any number of users without an e-mail address."""
    if identifier.kind == "phone" and not can_lack_email():
        return False
    return policies.current().may_sign_up(identifier, requester)


def can_lack_email() -> bool:
    """Whether the host's user model takes any number of users without an e-mail address."""
    name = email_field()
    if name is None:
        return True
    field = get_user_model()._meta.get_field(name)
    return isinstance(field, models.Field) and (field.null or not field.unique)


def new_user(identifier: Identifier) -> Any:
    """An unsaved user of the host's model: a random user name, the address where the model has a field for it, and no
    usable password."""
    model = get_user_model()
    user = model()
    address_field = email_field()
    if address_field and identifier.kind == "email":
        setattr(user, address_field, identifier.canonical)
    elif address_field and model._meta.get_field(address_field).null:
        setattr(user, address_field, None)
    if address_field != model.USERNAME_FIELD:
        field = model._meta.get_field(model.USERNAME_FIELD)
        if isinstance(field, models.CharField):
            # Not the address: user names are shown in places where addresses must not be.
            room = (field.max_length or 150) - len(_USERNAME_PREFIX)
            setattr(user, field.name, _USERNAME_PREFIX + get_random_string(min(14, room), _USERNAME_LETTERS))
    user.set_unusable_password()
    return user


_USERNAME_PREFIX: Final = "user-"
_USERNAME_LETTERS: Final = ALPHABETS["letters"].lower() + "23456789"


# -- users that were there before us


def adopt(identifier: Identifier, *, now: datetime) -> Identity | None:
    """Give an unimported user the Identity of their ``user.email``; ``None`` when there is nobody to adopt.

    The rule for hosts that did not run ``passwordless_import_identities``: exactly one user has this very address,
    is no member of staff, and has no primary address yet. SECURITY: the address was never proven, so the Identity
    is made unproven, and its first proof removes what was attached to the account before: whoever registered it with
    somebody else's address is out (Sudhodanan and Paverd 2022). For staff a mailbox is not proof enough.
    """
    found = users_with(identifier)
    if not found:
        return None
    primary = primary_of(found[0])
    if primary is not None and primary.canonical == identifier.canonical:
        return primary  # another browser made it since this one looked
    if len(found) > 1 or getattr(found[0], "is_staff", False) or primary is not None:
        record("adoption_refused", masked=identifier.masked, now=now, users=[str(user.pk) for user in found])
        raise Disabled
    return attach(found[0], identifier, origin=Identity.Origin.HOST, proven_at=None)


def users_with(identifier: Identifier) -> list[Any]:
    """The users whose ``user.email`` is this address; nobody for a phone number, which no field of Django's is known to
    hold.

    SECURITY: the database only proposes. Its idea of equal letters may be wider than ours (MariaDB's collations find
    "exämple.com" for "example.com", CVE-2019-19844), so what it finds is parsed and compared.
    """
    address_field = email_field()
    if not address_field or identifier.kind != "email":
        return []
    proposed = get_user_model()._default_manager.filter(**{f"{address_field}__iexact": identifier.canonical})
    return [user for user in proposed[:100] if _names(email_of(user), identifier)]


def _names(email: str, identifier: Identifier) -> bool:
    try:
        return parse_email(email) == identifier
    except InvalidIdentifier:
        return False


def attach(
    user: Any,
    identifier: Identifier,
    *,
    origin: Identity.Origin,
    proven_at: datetime | None,
    is_primary: bool = True,
    **more: Any,
) -> Identity:
    """Make an Identity: by default the primary one, of a user who has none of its kind. May raise ``IntegrityError``:
    the address has one."""
    identity = Identity.objects.create(
        user=user,
        kind=identifier.kind,
        canonical=identifier.canonical,
        is_primary=is_primary,
        origin=origin,
        proven_at=proven_at,
        **more,
    )
    tell(signals.identity_added, user, identity)
    return identity


def prove(identity: Identity, *, requester: Requester, now: datetime) -> None:
    """Somebody has just read what was sent to this address. Whoever does that first is its owner."""
    # The row in memory stays as it was read: who is rolled back by a deadlock begins anew with it.
    if identity.proven_at is None and Identity.objects.prove(identity, now=now):
        _first_proof(identity, requester=requester, now=now)


def _first_proof(identity: Identity, *, requester: Requester, now: datetime) -> None:
    """SECURITY: an address that somebody else entered is proven by its owner for the first time. Everything attached to
    the account until now may be an attacker's who waits for the owner to come: sessions, a password, addresses,
    browsers, open challenges go. Imported addresses were the host's own way to sign in and keep what they have."""
    user = identity.user
    if identity.origin != Identity.Origin.HOST:
        announce("address_proven", user=user, masked=identity.masked, requester=requester)
        return
    Challenge.objects.filter(user=user).cancel(now=now)
    sessions.end_all(user, reason="first_proof", now=now)
    KnownBrowser.objects.filter(user=user).delete()
    Passkey.objects.filter(user=user).delete()
    Totp.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    Profile.objects.filter(user=user).update(has_totp=False)
    Profile.objects.of(user).has_totp = False  # read before, and what follows weighs by it
    Identity.objects.filter(user=user).exclude(pk=identity.pk).delete()
    # Ends sessions that other code made as well: Django compares their hash of the password field.
    user.set_unusable_password()
    user.save(update_fields=["password"])
    record("first_proof_cleared_account", user=user, masked=identity.masked, requester=requester, now=now)


# -- user.email and the primary Identity


def email_field() -> str | None:
    """Name of the e-mail field of the host's user model, or ``None``."""
    model = get_user_model()
    name: str = getattr(model, "EMAIL_FIELD", "email")
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return name


def email_of(user: Any) -> str:
    """What the host's user model says is the address, "" where it has none."""
    name = email_field()
    return (getattr(user, name) or "") if name else ""


def phone_of(user: Any) -> str:
    """The proven phone number that this person signs in with, as people write it; "" where there is none."""
    phones = Identity.objects.filter(user=user, kind="phone", for_sign_in=True).exclude(proven_at=None)
    first = phones.order_by("-is_primary", "pk").first()
    return first.identifier.display if first else ""


def name_of(user: Any) -> str:
    """What tells this account from others, for a list of passkeys: the address, else the phone number, else the user
    name."""
    return str(email_of(user) or phone_of(user) or user.get_username())


def display_name_of(user: Any) -> str:
    """How a person is addressed: their name, else their address, else the user name."""
    return str(getattr(user, "get_full_name", lambda: "")() or name_of(user))


def primary_of(user: Any) -> Identity | None:
    return Identity.objects.filter(user=user, kind="email", is_primary=True).first()


def follow_user(sender: type, instance: Any, *, update_fields: Any = None, raw: bool = False, **_kwargs: Any) -> None:
    """Receiver of ``post_save`` of the user model.

    An administrator, or any code of the host, may change ``user.email``: the primary Identity follows, unproven. A
    user that is deactivated loses sessions and open challenges at once.
    """
    if raw or hasattr(instance, "_passwordless_auth_origin"):
        return
    address_field = email_field()
    if address_field and (update_fields is None or address_field in update_fields):
        _follow_email(instance, email_of(instance))
    if not instance.is_active and (update_fields is None or "is_active" in update_fields):
        cut_off(instance, reason="deactivated")


def _follow_email(user: Any, email: str) -> None:
    try:
        identifier = parse_email(email) if email else None
    except InvalidIdentifier:
        return  # nothing that a message could reach; the host may use the field for something else
    primary = primary_of(user)
    if primary is not None and identifier is not None and primary.canonical == identifier.canonical:
        return
    if identifier is None:
        if primary is not None:  # the host emptied the field: anonymising a person does that
            _detach(primary)
        return
    if Identity.objects.named(identifier).exists():
        mine = Identity.objects.filter(user=user, kind="email", canonical=identifier.canonical)
        if mine.exists():
            Identity.objects.filter(user=user, kind="email", is_primary=True).update(is_primary=False)
            mine.update(is_primary=True)
        else:
            record("address_conflict", user=user, masked=identifier.masked)
        return
    if any(other.pk != user.pk for other in users_with(identifier)):
        # SECURITY: whoever registers with the address of a user who was not imported must not get it from them.
        record("address_conflict", user=user, masked=identifier.masked)
        return
    try:
        with transaction.atomic():
            if primary is not None:
                _detach(primary)
            attach(user, identifier, origin=Identity.Origin.HOST, proven_at=None)
    except IntegrityError:  # its owner has signed up since we looked
        record("address_conflict", user=user, masked=identifier.masked)
        return
    kind = "address_changed_by_host" if primary is not None else "address_added_by_host"
    announce(kind, user=user, masked=identifier.masked)


def _detach(identity: Identity) -> None:
    """Take the primary address away, which the host has changed. Notices that went to it undo nothing any more."""
    Challenge.objects.filter(kind=identity.kind, canonical=identity.canonical).cancel(now=timezone.now())
    KnownBrowser.objects.filter(user=identity.user).delete()  # they were known for this address
    detach(identity)


def detach(identity: Identity) -> None:
    """Delete an Identity. What is on its way to the address has to be cancelled before."""
    user, pk = identity.user, identity.pk
    identity.delete()
    identity.pk = pk  # for receivers, who may want to find what they keep about it
    tell(signals.identity_removed, user, identity)


def make_primary(identity: Identity) -> None:
    """Let this be the address of its kind that the account goes by; ``user.email`` follows. To be called inside the
    transaction of the change. May raise ``IntegrityError``: the host wants that field to be unique, and another user
    has this address there."""
    same_kind = Identity.objects.filter(user=identity.user, kind=identity.kind)
    same_kind.exclude(pk=identity.pk).filter(is_primary=True).update(is_primary=False)
    same_kind.filter(pk=identity.pk).update(is_primary=True)
    identity.is_primary = True
    if identity.kind == "email":
        write_email(identity.user, identity.canonical)


def keep_primary(user: Any, *, kind: str) -> None:
    """After addresses of this kind were taken away: the oldest of the others is the primary one, if none is."""
    rows = Identity.objects.filter(user=user, kind=kind)
    if rows.filter(is_primary=True).exists():
        return
    row = rows.exclude(proven_at=None).order_by("created_at", "pk").first()
    if row is not None:
        row.user = user
        make_primary(row)
    elif kind == "email":
        write_email(user, "")


def write_email(user: Any, email: str) -> None:
    """``user.email`` says what we know already: the receiver that follows it stands back. Where everybody has to have
    one, "" is an address that nobody can have (RFC 2606 §2)."""
    name = email_field()
    if not name:
        return
    value: str | None = email
    if not email and get_user_model()._meta.get_field(name).null:
        value = None
    elif not email and not can_lack_email():
        value = f"{get_random_string(14, _USERNAME_LETTERS)}@nobody.invalid"
    setattr(user, name, value)
    save_quietly(user, name)


def save_quietly(user: Any, *fields: str) -> None:
    """Save what our own flows have changed of a user."""
    user._passwordless_auth_origin = Identity.Origin.OWNER
    try:
        user.save(update_fields=fields)
    finally:
        del user._passwordless_auth_origin


def cut_off(user: Any, *, reason: str) -> None:
    """End every session of a user and cancel whatever is on its way to their addresses.

    SECURITY: in this order. Cancelling and settling wait for a sign-in that is being completed at this moment; ending
    then finds its session, too.
    """
    cancel_challenges(user)
    settle(user)
    sessions.end_all(user, reason=reason)


def cancel_challenges(user: Any) -> None:
    """Nothing that is on its way to this user, or to one of their addresses, opens anything any more. "This wasn't me"
    goes on working: it takes away and opens nothing."""
    addresses = list(Identity.objects.filter(user=user).values_list("canonical", flat=True))
    theirs = Challenge.objects.filter(Q(user=user) | Q(canonical__in=addresses))
    theirs.exclude(purpose=Challenge.Purpose.REPORT).cancel(now=timezone.now())


def settle(user: Any) -> None:
    """Wait for whoever is signing in with a passkey or a recovery code of this user at this moment: their challenge
    names nobody, or there is none. An UPDATE that changes nothing waits for the transaction that used the row."""
    settle_passkeys(user)
    settle_codes(user)


def settle_passkeys(user: Any) -> None:
    Passkey.objects.filter(user=user).update(sign_count=F("sign_count"))


def settle_codes(user: Any) -> None:
    RecoveryCode.objects.filter(user=user).update(used_at=F("used_at"))


def forget_user(sender: type, instance: Any, **_kwargs: Any) -> None:
    """Receiver of ``pre_delete`` of the user model: sessions die, and nothing about their addresses stays."""
    sessions.end(SignIn.objects.live().filter(user=instance), reason="deleted")
    addresses = list(Identity.objects.filter(user=instance).values_list("canonical", flat=True))
    Challenge.objects.filter(canonical__in=addresses).delete()
    AddressMark.objects.filter(canonical__in=addresses).delete()


def tell(signal: Signal, user: Any, identity: Identity) -> None:
    transaction.on_commit(lambda: signal.send_robust(Identity, user=user, identity=identity), robust=True)
