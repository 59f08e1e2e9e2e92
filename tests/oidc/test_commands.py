"""``create_oidc_client``: what a shell is told, and what is there afterwards."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from oauth2_provider.models import get_application_model

from passwordless_auth.models import Event
from passwordless_auth.oidc import clients
from passwordless_auth.oidc.clients import Credentials
from passwordless_auth.oidc.models import ClientSettings

pytestmark = pytest.mark.django_db

APPLICATION = get_application_model()
SECRET = "correct horse battery staple"
WEB = ("--name", "Shop", "--redirect-uri", "https://rp.example/cb")


def run(*arguments):
    out, err = StringIO(), StringIO()
    call_command("create_oidc_client", *arguments, stdout=out, stderr=err)
    run.err = err.getvalue()
    return out.getvalue()


def made(*arguments):
    """Runs it with ``--json``: what it says, and the client."""
    told = json.loads(run(*arguments, "--json"))
    application = clients.load(told["client_id"])
    return told, application, application.passwordless_settings


def refused(*arguments):
    with pytest.raises(CommandError) as refusal:
        run(*arguments)
    return str(refusal.value)


def knows(client_id, secret):
    credentials = Credentials(client_id=client_id, client_secret=secret, path="/openid/token")
    return clients.authenticate(credentials).client_id == client_id


def test_a_web_application_is_made_and_its_secret_shown_once():
    told = run("--client-id", "shop", *WEB)

    (secret,) = [line.partition(": ")[2] for line in told.splitlines() if line.startswith("client_secret: ")]
    assert "client_id: shop\n" in told
    assert "issuer: http://testserver/\n" in told
    assert len(secret) >= 43
    assert knows("shop", secret)
    application = APPLICATION.objects.get()
    assert (application.name, application.redirect_uris) == ("Shop", "https://rp.example/cb")
    assert (application.client_type, application.authorization_grant_type) == ("confidential", "authorization-code")
    assert not application.skip_authorization
    client = application.passwordless_settings
    assert (client.kind, client.response_types, client.requires_pkce) == ("web", ["code"], True)
    assert "secret" not in run("--client-id", "shop").lower()


def test_without_an_id_it_gets_a_random_one():
    told, application, _client = made(*WEB)

    assert len(told["client_id"]) >= 20
    assert application.name == "Shop"
    assert told["made"] is True


@pytest.mark.parametrize(
    ("kind", "uri", "public", "grants"),
    [
        ("web", "https://rp.example/cb", False, {"authorization_code", "refresh_token"}),
        ("spa", "https://rp.example/cb", True, {"authorization_code", "refresh_token"}),
        ("native", "com.example.app:/cb", True, {"authorization_code", "refresh_token"}),
        ("m2m", None, False, {"client_credentials"}),
    ],
)
def test_each_type_gets_what_is_right_for_it(kind, uri, public, grants):
    told, application, client = made("--name", "x", "--type", kind, *(["--redirect-uri", uri] if uri else []))

    assert (application.client_type == "public") is public
    assert ("client_secret" in told) is not public
    assert client.grant_types == grants
    assert client.response_types == ([] if kind == "m2m" else ["code"])
    assert client.auth_method == ("none" if public else "client_secret_basic")


def test_every_option_does_what_it_says(settings):
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["DE"]
    told, application, client = made(
        *("--client-id", "a client: 100% +1", "--client-secret", SECRET, "--name", "Shop", "--type", "web"),
        *(
            "--redirect-uri",
            "https://rp.example/cb",
            "https://rp.example/cb2",
            "--redirect-uri",
            "https://rp.example/3",
        ),
        *("--post-logout-redirect-uri", "https://rp.example/bye", "--web-origin", "https://rp.example"),
        *("--backchannel-logout-uri", "https://rp.example/logout", "--grant", "authorization_code"),
        *("--grant", "client_credentials", "--response-type", "token code", "--response-type", "code"),
        *("--subject-type", "pairwise", "--connection", "email", "--connection", "sms"),
        *("--code-lifetime", "180", "--code-tries", "2", "--first-party", "--no-pkce"),
    )

    assert told["client_secret"] == SECRET
    assert knows("a client: 100% +1", SECRET)
    assert application.redirect_uris.split() == [
        "https://rp.example/cb",
        "https://rp.example/cb2",
        "https://rp.example/3",
    ]
    assert application.post_logout_redirect_uris == "https://rp.example/bye"
    assert application.allowed_origins == "https://rp.example"
    assert application.skip_authorization
    assert client.backchannel_logout_uri == "https://rp.example/logout"
    assert client.grant_types == {"authorization_code", "client_credentials"}
    assert client.response_types == ["code token", "code"]
    assert (client.subject_type, client.connections) == ("pairwise", ["email", "sms"])
    assert (client.code_lifetime, client.code_tries, client.requires_pkce) == (180, 2, False)


def test_one_that_is_there_is_changed_by_what_is_given_and_by_nothing_else():
    _told, before, _client = made("--client-id", "shop", "--client-secret", SECRET, *WEB, "--no-pkce")

    told, after, client = made("--client-id", "shop", "--name", "Better shop", "--code-tries", "2")

    assert (before.pk, told["made"]) == (after.pk, False)
    assert (after.name, after.redirect_uris) == ("Better shop", "https://rp.example/cb")
    assert (client.code_tries, client.requires_pkce) == (2, False)
    assert "client_secret" not in told
    assert knows("shop", SECRET)


def test_it_can_be_run_again_and_again():
    arguments = ("--client-id", "shop", "--client-secret", SECRET, *WEB)
    run(*arguments)
    rows = list(APPLICATION.objects.values("client_secret")), list(ClientSettings.objects.values())

    assert "client_secret" not in run(*arguments)
    assert rows == (list(APPLICATION.objects.values("client_secret")), list(ClientSettings.objects.values()))
    assert [event.kind for event in Event.objects.order_by("pk")] == ["client_made", "client_secret_made"]


def test_another_secret_replaces_the_old_one():
    run("--client-id", "shop", "--client-secret", SECRET, *WEB)
    run("--client-id", "shop", "--client-secret", SECRET + "!")

    assert knows("shop", SECRET + "!")
    with pytest.raises(Exception, match="invalid_client"):
        knows("shop", SECRET)


def test_who_did_it_is_written_down_and_no_secret_is():
    run("--client-id", "shop", "--client-secret", SECRET, *WEB)
    run("--client-id", "shop", "--name", "Other")

    first, second, third = Event.objects.order_by("pk")
    assert (first.kind, second.kind, third.kind) == ("client_made", "client_secret_made", "client_changed")
    assert third.data["fields"] == ["name"]
    assert {event.data["client_id"] for event in (first, second, third)} == {"shop"}
    assert SECRET not in str(list(Event.objects.values()))


def test_a_short_secret_is_told():
    run("--client-id", "shop", "--client-secret", "short", *WEB)

    assert "less than 24" in run.err
    assert knows("shop", "short")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("--redirect-uri", "https://rp.example/cb"), "--name"),
        (("--name", "x"), "--redirect-uri"),
        (("--name", "x", "--redirect-uri", "http://rp.example/cb"), "--redirect-uri"),
        (("--name", "x", "--redirect-uri", "https://*.example/cb"), "--redirect-uri"),
        ((*WEB, "--post-logout-redirect-uri", "https://rp.example/#x"), "--post-logout-redirect-uri"),
        ((*WEB, "--web-origin", "https://rp.example/"), "--web-origin"),
        ((*WEB, "--backchannel-logout-uri", "http://rp.example/"), "--backchannel-logout-uri"),
        ((*WEB, "--code-lifetime", "601"), "--code-lifetime"),
        ((*WEB, "--code-tries", "6"), "--code-tries"),
        ((*WEB, "--connection", "sms"), "--connection"),
        ((*WEB, "--type", "m2m"), "--redirect-uri"),
        ((*WEB, "--type", "spa", "--no-pkce"), "--no-pkce"),
        ((*WEB, "--type", "spa", "--client-secret", SECRET), "--client-secret"),
        ((*WEB, "--type", "spa", "--grant", "client_credentials"), "--grant"),
        ((*WEB, "--client-id", "a\tb"), "--client-id"),
        ((*WEB, "--client-id", "x" * 256), "--client-id"),
        (("--name", "x" * 81, "--redirect-uri", "https://rp.example/cb"), "--name"),
        (("--name", "ebay\u202egnp", "--redirect-uri", "https://rp.example/cb"), "--name"),
    ],
)
def test_what_is_wrong_is_told_by_the_option(arguments, option):
    assert refused(*arguments).startswith(f"{option}: ")
    assert not APPLICATION.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [("--type", "toaster"), ("--grant", "password"), ("--response-type", "code code"), ("--client-secret", "")],
)
def test_what_is_no_choice_is_refused(arguments):
    refused(*WEB, *arguments)

    assert not APPLICATION.objects.exists()
