from django.contrib import admin
from django.contrib.auth import admin as django
from django.contrib.auth.models import User

from passwordless_auth.admin.users import PasswordlessUserAdminMixin

admin.site.unregister(User)


@admin.register(User)
class UserAdmin(PasswordlessUserAdminMixin, django.UserAdmin):
    """Django's own, and what a person signs in with on their page."""
