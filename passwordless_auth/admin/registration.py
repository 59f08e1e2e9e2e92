"""Which rows the admin shows, and by what."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Model

from ..models import AddressMark, Challenge, Delivery, Event, Identity, Passkey, Profile, RecoveryCode, SignIn, Totp
from .deliveries import AddressMarkAdmin, DeliveryAdmin
from .factors import PasskeyAdmin, ProfileAdmin, RecoveryCodeAdmin, TotpAdmin
from .rows import ChallengeAdmin, EventAdmin, IdentityAdmin, SignInAdmin

ROWS: Final[dict[type[Model], type[admin.ModelAdmin[Any]]]] = {
    AddressMark: AddressMarkAdmin,
    Challenge: ChallengeAdmin,
    Delivery: DeliveryAdmin,
    Event: EventAdmin,
    Identity: IdentityAdmin,
    Passkey: PasskeyAdmin,
    Profile: ProfileAdmin,
    RecoveryCode: RecoveryCodeAdmin,
    SignIn: SignInAdmin,
    Totp: TotpAdmin,
}


def register_all(site: admin.AdminSite | None = None) -> None:
    """Register our rows with this site, by default the default one; what a host has registered before stays."""
    site = site or admin.site
    for model, model_admin in ROWS.items():
        if not site.is_registered(model):
            site.register(model, model_admin)
