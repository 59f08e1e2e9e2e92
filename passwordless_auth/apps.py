from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PasswordlessAuthConfig(AppConfig):
    name = "passwordless_auth"
    verbose_name = _("Passwordless sign-in")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, conf, receivers

        conf.take_over_login_urls()
        checks.register_all()
        receivers.connect()
