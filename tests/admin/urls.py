"""The admin sites of the tests: ours, django-otp's own, and both in one; beside Django's, at ``/admin/``."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangosUserAdmin
from django.contrib.auth.models import User
from django.urls import path
from django_otp.admin import OTPAdminSite

from passwordless_auth.admin.registration import register_all
from passwordless_auth.admin.sites import PasswordlessAdminMixin, PasswordlessAdminSite
from passwordless_auth.admin.users import PasswordlessUserAdminMixin
from passwordless_auth.models import Level
from tests.urls import urlpatterns as others


class UserAdmin(PasswordlessUserAdminMixin, DjangosUserAdmin):
    pass


class BothSite(PasswordlessAdminMixin, OTPAdminSite):
    minimum_level = Level.MULTI


def site(admin_site):
    register_all(admin_site)
    admin_site.register(User, UserAdmin)
    return admin_site


ours = site(PasswordlessAdminSite(name="ours"))
otp = site(OTPAdminSite(OTPAdminSite.name))
both = site(BothSite("both"))

#: A site that Django's own AdminSite guards, with our rows.
djangos = site(admin.AdminSite(name="djangos"))

urlpatterns = [
    path("ours/", ours.urls),
    path("otp/", otp.urls),
    path("both/", both.urls),
    path("djangos/", djangos.urls),
    *others,
]
