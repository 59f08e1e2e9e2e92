"""Django's admin with our sign-in, and what its people see and do: rows, masked, and acts on accounts.

``sites`` has the AdminSite, ``apps`` makes it the default one, ``users`` is for the host's UserAdmin.
"""

from django.apps import apps

# Django's autodiscover imports this package to have its models registered. ``apps.PasswordlessAdminConfig`` lies in it,
# too, and is read before there are models; it registers them itself.
if apps.models_ready:
    from .registration import register_all

    register_all()
