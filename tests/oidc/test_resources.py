"""A resource of the host, guarded by django-oauth-toolkit, behind tokens of ours."""

import pytest
from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db


def open_resource(app, token):
    return app.back.get("/resource/", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_opens_it_until_its_person_leaves(signed_in, browser):
    token = signed_in.tokens(scope="openid email")["access_token"]
    assert open_resource(signed_in, token) == 200

    browser.submit("/logout/")

    assert open_resource(signed_in, token) == 403


def test_nor_one_of_somebody_who_is_disabled(signed_in):
    token = signed_in.tokens(scope="openid email")["access_token"]
    User.objects.update(is_active=False)

    assert open_resource(signed_in, token) == 403


def test_nor_one_without_the_scope_and_no_id_token(signed_in):
    tokens = signed_in.tokens(scope="openid")

    assert open_resource(signed_in, tokens["access_token"]) == 403
    assert open_resource(signed_in, tokens["id_token"]) == 403
    assert open_resource(signed_in, "made.up.token") == 403
