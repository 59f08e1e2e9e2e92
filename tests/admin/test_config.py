"""``PasswordlessAdminConfig`` in the place of ``django.contrib.admin``: tried in the example, in a process of its own."""

import pytest

from tests.example.conftest import manage


def shell(code, tmp_path, **environment):
    done = manage("shell", "-v0", "-c", code, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from django.contrib import admin; print(isinstance(admin.site, PasswordlessAdminSite))", ["True"]),
        # Ours are registered, and so is what the example's admin.py has put in the place of Django's own.
        ("from django.contrib import admin; print(admin.site.is_registered(Passkey), admin.site.is_registered(Totp))", ["True", "True"]),
        ("from django.contrib import admin; print(type(admin.site.get_model_admin(User)).__module__)", ["example_project.admin"]),
        ("from django.apps import apps; print(apps.is_installed('django.contrib.admin'))", ["True"]),
    ],
)  # fmt: skip
def test_it_is_the_default_site_with_our_rows(tmp_path, code, said):
    imports = (
        "from passwordless_auth.admin.sites import PasswordlessAdminSite; "
        "from passwordless_auth.models import Passkey, Totp; from django.contrib.auth.models import User; "
    )
    assert shell(imports + code, tmp_path) == said


def test_a_host_may_replace_what_we_register(tmp_path):
    """What is registered before us stays, and nothing is registered twice."""
    code = (
        "from django.contrib import admin\n"
        "from passwordless_auth.admin.registration import register_all\n"
        "from passwordless_auth.models import Event\n"
        "class Mine(admin.ModelAdmin): pass\n"
        "site = admin.AdminSite()\n"
        "site.register(Event, Mine)\n"
        "register_all(site); register_all(site)\n"
        "print(type(site.get_model_admin(Event)).__name__, len(site._registry))\n"
    )
    assert shell(code, tmp_path) == ["Mine", "10"]


def test_the_checks_find_nothing_wrong(tmp_path):
    done = manage("check", cwd=tmp_path)

    assert (done.returncode, "no issues" in done.stdout) == (0, True), done.stderr
