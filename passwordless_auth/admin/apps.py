from django.contrib.admin.apps import AdminConfig


class PasswordlessAdminConfig(AdminConfig):
    """In ``INSTALLED_APPS`` in the place of ``django.contrib.admin``: the default admin site lets in by our sign-in."""

    default = False
    default_site = "passwordless_auth.admin.sites.PasswordlessAdminSite"

    def ready(self) -> None:
        from .registration import register_all

        # First, as if found first: an ``admin.py`` of the host may take away and replace what we register.
        register_all()
        super().ready()
