"""What of Django's own signals we listen to. The receivers live with their story; here they are connected."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_delete, post_save, pre_delete

from . import signals
from .flows import accounts, anymail, pumping, totp
from .models import Totp
from .sessions import on_logged_in, on_logged_out


def connect() -> None:
    post_save.connect(accounts.follow_user, sender=settings.AUTH_USER_MODEL, dispatch_uid="passwordless_auth.user")
    pre_delete.connect(accounts.forget_user, sender=settings.AUTH_USER_MODEL, dispatch_uid="passwordless_auth.user")
    for signal in (post_save, post_delete):
        signal.connect(totp.follow, sender=Totp, dispatch_uid="passwordless_auth.totp")
    Totp.verifier = totp.verify_token
    user_logged_in.connect(on_logged_in, dispatch_uid="passwordless_auth.logged_in")
    signals.security_event.connect(pumping.look_now_and_then, dispatch_uid="passwordless_auth.pumping")
    user_logged_out.connect(on_logged_out, dispatch_uid="passwordless_auth.logged_out")
    if apps.is_installed("anymail"):
        from anymail.signals import tracking

        tracking.connect(anymail.on_tracking, dispatch_uid="passwordless_auth.anymail")
