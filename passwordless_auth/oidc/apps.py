from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from ..errands import Errand
    from ..requester import Requester


def _find_errand(next_url: str, requester: Requester) -> Errand | None:
    """By its path: the views are loaded with the URLconf, and only where that is included."""
    found: Errand | None = import_string("passwordless_auth.oidc.views.authorize.find_errand")(next_url, requester)
    return found


class OidcConfig(AppConfig):
    name = "passwordless_auth.oidc"
    label = "passwordless_auth_oidc"
    verbose_name = _("OpenID provider")
    default_auto_field = "django.db.models.BigAutoField"
    #: What the core's account page shows of us.
    account_sections = ("passwordless_auth/_account_applications.html",)

    def import_models(self) -> None:
        """Before any app is ready: the admin, which may come first, asks django-oauth-toolkit for the class of its
        page."""
        super().import_models()
        from . import _dot
        from .conf import settings

        try:
            issuer = settings.OIDC_ISSUER
        except ImproperlyConfigured:  # told by the core's checks
            issuer = ""
        _dot.set_safe_defaults(issuer=issuer)

    def ready(self) -> None:
        from .. import errands, outbox, signals
        from . import checks, checks_keys, sealing
        from .flows import access, backchannel, purging

        checks.register_all()
        checks_keys.register_all()
        sealing.register_all()
        errands.register(_find_errand)
        outbox.register(backchannel.KIND, backchannel.hand_over, back_off=backchannel.BACK_OFF)
        for receiver in (backchannel.on_sign_ins_ending, access.on_sign_ins_ending):
            signals.sign_ins_ending.connect(receiver, dispatch_uid=receiver)
        signals.access_ending.connect(access.on_access_ending, dispatch_uid=access.on_access_ending)
        purging.register_all()
