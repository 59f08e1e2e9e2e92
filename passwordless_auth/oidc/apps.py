from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class OidcConfig(AppConfig):
    name = "passwordless_auth.oidc"
    label = "passwordless_auth_oidc"
    verbose_name = _("OpenID provider")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import _dot, checks
        from .conf import settings

        try:
            issuer = settings.OIDC_ISSUER
        except ImproperlyConfigured:  # told by the core's checks
            issuer = ""
        _dot.set_safe_defaults(issuer=issuer)
        checks.register_all()
