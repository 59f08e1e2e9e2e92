"""Rows for tests, with factory-boy: ``PasskeyFactory(user=ada)``.

Each row is one that our own code could have made, for any ``AUTH_USER_MODEL``. Fields that a host's user model needs
beside name, address and password are added in a subclass::

    class MemberFactory(UserFactory):
        birthday = date(1990, 1, 1)
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.utils import timezone
from factory.declarations import (
    LazyAttribute,
    LazyAttributeSequence,
    LazyFunction,
    SelfAttribute,
    Sequence,
    SubFactory,
    Trait,
)
from factory.django import DjangoModelFactory

from .. import derivation
from ..conf import settings
from ..flows import accounts
from ..identifiers import parse
from ..models import Challenge, Delivery, Identity, Level, Passkey, Profile, RecoveryCode, SignIn, Totp
from ..models.challenge import scope_of
from ..requester import new_browser_key
from .enrolment import add_passkey, add_totp
from .sessions import METHODS_OF, proof_by


class UserFactory(DjangoModelFactory[Any]):
    """Somebody who signed up: with a user, a proven primary Identity and a Profile, without a usable password.

    ``address``: the e-mail address; naming the model's own e-mail field is the same. ``proven=False``: the address was
    entered by an administrator, and its owner has not signed in yet. ``password``: a usable one.
    """

    class Meta:
        model = django_settings.AUTH_USER_MODEL

    address = Sequence(lambda number: f"person{number}@example.com")
    proven = True
    password = ""

    @classmethod
    def _create(cls, model_class: type[Any], *args: Any, **kwargs: Any) -> Any:
        proven, password = kwargs.pop("proven"), kwargs.pop("password")
        address = kwargs.pop("address")
        identifier = parse(kwargs.pop(accounts.email_field() or "", address))
        user = accounts.new_user(identifier)
        for name, value in kwargs.items():
            setattr(user, name, value)
        if password:
            user.set_password(password)
        # The receiver that follows user.email stands back: which Identity there is, is said below.
        user._passwordless_auth_origin = Identity.Origin.SIGN_UP
        user.save(force_insert=True)
        del user._passwordless_auth_origin
        origin = Identity.Origin.SIGN_UP if proven else Identity.Origin.HOST
        accounts.attach(user, identifier, origin=origin, proven_at=timezone.now() if proven else None)
        Profile.objects.create(user=user)
        return user


class IdentityFactory(DjangoModelFactory[Identity]):
    """One more proven address of a user."""

    class Meta:
        model = Identity

    user = SubFactory(UserFactory)
    kind = "email"
    canonical = Sequence(lambda number: f"another{number}@example.com")
    origin = Identity.Origin.SIGN_UP
    proven_at = LazyFunction(timezone.now)


def _scope_of(row: Any) -> str | None:
    if getattr(row, "state", Challenge.State.OPEN) != Challenge.State.OPEN:
        return None
    return scope_of(
        purpose=row.purpose,
        identifier=parse(row.canonical),
        client_id=getattr(row, "client_id", ""),
        browser_digest=row.browser_digest,
    )


class ChallengeFactory(DjangoModelFactory[Challenge]):
    """An open question to an address, as the sign-in page asks it; its code and link work.

    ``browser_key``: the value of the cookie of the browser that asked. ``identity=None``: of an address that nobody
    has.
    """

    class Meta:
        model = Challenge

    class Params:
        browser_key = LazyFunction(new_browser_key)

    purpose = Challenge.Purpose.SIGN_IN
    kind = "email"
    identity = SubFactory(IdentityFactory)
    user = LazyAttribute(lambda row: row.identity.user if row.identity else None)
    canonical = LazyAttributeSequence(
        lambda row, number: row.identity.canonical if row.identity else f"nobody{number}@example.com"
    )
    browser_digest = LazyAttribute(lambda row: hashlib.sha256(row.browser_key.encode()).hexdigest())
    key_id = LazyFunction(lambda: settings.issuing_key_id)
    code_length = LazyFunction(lambda: settings.CODE_LENGTH)
    code_alphabet = LazyFunction(lambda: settings.CODE_ALPHABET)
    max_tries = LazyFunction(lambda: settings.CODE_TRIES)
    created_at = LazyFunction(timezone.now)
    code_expires_at = LazyAttribute(lambda row: row.created_at + timedelta(seconds=settings.CODE_LIFETIME))
    link_expires_at = LazyAttribute(lambda row: row.created_at + timedelta(seconds=settings.LINK_LIFETIME))
    expires_at = LazyAttribute(lambda row: max(row.code_expires_at, row.link_expires_at))
    open_scope = LazyAttribute(_scope_of)


class DeliveryFactory(DjangoModelFactory[Delivery]):
    """A message that waits to be sent: the one of a Challenge."""

    class Meta:
        model = Delivery

    challenge = SubFactory(ChallengeFactory)
    kind = SelfAttribute("challenge.purpose")
    canonical = SelfAttribute("challenge.canonical")
    user = SelfAttribute("challenge.user")
    expires_at = SelfAttribute("challenge.expires_at")


class SignInFactory(DjangoModelFactory[SignIn]):
    """A row of the session list, without a session: :func:`~passwordless_auth.testing.signed_in_client` makes one that
    has one. ``level`` brings the methods that reach it; ``methods`` names others."""

    class Meta:
        model = SignIn

    user = SubFactory(UserFactory)
    level = Level.SINGLE
    methods = LazyAttribute(lambda row: METHODS_OF[Level(row.level)])

    @classmethod
    def _create(cls, model_class: type[SignIn], *args: Any, **kwargs: Any) -> SignIn:
        methods = kwargs.pop("methods")
        sign_in = model_class(**kwargs)
        sign_in.set_proofs([proof_by(method, sign_in, now=sign_in.auth_time) for method in methods])
        sign_in.save()
        return sign_in


class PasskeyFactory(DjangoModelFactory[Passkey]):
    """A passkey of a user. ``authenticator``: the software authenticator that holds it and can sign in with it."""

    class Meta:
        model = Passkey

    user = SubFactory(UserFactory)
    name = Sequence(lambda number: f"Passkey {number}")
    authenticator = None

    class Params:
        blocked = Trait(confirmed=False, blocked_at=LazyFunction(timezone.now))

    @classmethod
    def _create(cls, model_class: type[Passkey], *args: Any, **kwargs: Any) -> Passkey:
        return add_passkey(kwargs.pop("user"), kwargs.pop("authenticator"), **kwargs)


class TotpFactory(DjangoModelFactory[Totp]):
    """An authenticator app of a user; :func:`~passwordless_auth.testing.totp_code` is what it shows."""

    class Meta:
        model = Totp

    user = SubFactory(UserFactory)
    name = Sequence(lambda number: f"App {number}")

    class Params:
        blocked = Trait(confirmed=False, blocked_at=LazyFunction(timezone.now))

    @classmethod
    def _create(cls, model_class: type[Totp], *args: Any, **kwargs: Any) -> Totp:
        return add_totp(kwargs.pop("user"), **kwargs)


class RecoveryCodeFactory(DjangoModelFactory[RecoveryCode]):
    """One recovery code of a user. ``code``: what is on the paper."""

    class Meta:
        model = RecoveryCode

    class Params:
        code = LazyFunction(derivation.new_recovery_code)

    user = SubFactory(UserFactory)
    key_id = LazyFunction(lambda: settings.issuing_key_id)
    digest = LazyAttribute(lambda row: derivation.recovery_digest(row.code, user_id=row.user.pk, key_id=row.key_id))
