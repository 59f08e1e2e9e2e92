"""Clients in the admin: a form that a person understands, a secret that is shown once, and what to paste."""

import re
import shlex
import shutil
import subprocess
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from passwordless_auth.models import Event
from passwordless_auth.oidc import clients
from passwordless_auth.oidc.admin import snippets
from passwordless_auth.oidc.clients import Credentials
from passwordless_auth.oidc.models import ClientSettings
from passwordless_auth.testing import signed_in_client
from passwordless_auth.testing.factories import UserFactory

from .relying_party import make_client

pytestmark = pytest.mark.django_db

APPLICATION = get_application_model()
LIST = "/admin/oauth2_provider/application/"
ADD = f"{LIST}add/"


@pytest.fixture
def root(db):
    return UserFactory(username="root", address="root@example.net", is_staff=True, is_superuser=True)


@pytest.fixture
def admin_client(root):
    return signed_in_client(root, "phr")


def change(application):
    return f"{LIST}{application.pk}/change/"


def words(answer):
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def errors(answer):
    """What the page says, by the field that it says it of."""
    assert answer.status_code == 200
    form = answer.context["adminform"].form
    return {name: " ".join(said) for name, said in form.errors.items()}


def secret_on(answer):
    found = re.search(r"<code data-secret>([^<]+)</code>", answer.content.decode())
    return found and found[1]


def fields_of(client, page):
    """What a browser would send that changes nothing."""
    form = client.get(page).context["adminform"].form
    return {name: form[name].value() for name in form.fields if form[name].value() not in (None, False, "", [])}


def said(**changes):
    plain = {
        "kind": "web",
        "name": "Shop",
        "client_id": "shop",
        "redirect_uris": "https://rp.example/cb\r\nhttps://rp.example/other",
        "response_types": ["code"],
        "id_token_alg": "RS256",
        "refresh": "offline_access",
    }
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def knows(secret, client_id="shop"):
    try:
        return clients.authenticate(Credentials(client_id=client_id, client_secret=secret)).client_id == client_id
    except clients.InvalidClientError:
        return False


# -- adding


def test_the_form_takes_the_place_of_django_oauth_toolkits(admin_client):
    page = words(admin_client.get(ADD))

    for text in ("Add a client", "Web application", "Single-page application", "Native application", "Machine"):
        assert text in page
    for text in ("Authorization grant type", "Hash client secret", "Algorithm"):
        assert text.lower() not in page.lower()


def test_a_client_is_added_and_its_secret_is_on_the_page_once(admin_client):
    answer = admin_client.post(ADD, said())

    secret = secret_on(answer)
    assert len(secret) >= 43
    assert knows(secret)
    assert "no-store" in answer["Cache-Control"]
    application = APPLICATION.objects.get()
    assert application.redirect_uris == "https://rp.example/cb https://rp.example/other"
    assert ClientSettings.of(application).kind == "web"
    for page in (change(application), LIST, f"{LIST}{application.pk}/history/"):
        assert secret not in admin_client.get(page).content.decode()
    session = admin_client.session
    assert secret not in str(dict(session.items()))
    assert secret not in str(admin_client.cookies)
    assert secret not in str(list(Event.objects.values()))


def test_the_id_is_there_before_it_is_sent_so_that_a_form_sent_twice_adds_one(admin_client):
    proposed = fields_of(admin_client, ADD)["client_id"]
    admin_client.post(ADD, said(client_id=proposed))
    answer = admin_client.post(ADD, said(client_id=proposed))

    assert errors(answer) == {"client_id": "There is a client with this id."}
    assert APPLICATION.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "uris", "public"),
    [("spa", "http://localhost:3000/cb", True), ("native", "com.example.app:/cb", True), ("m2m", "", False)],
)
def test_each_kind_gets_what_is_right_for_it(admin_client, kind, uris, public):
    answer = admin_client.post(ADD, said(kind=kind, redirect_uris=uris), follow=True)

    application = APPLICATION.objects.get()
    assert (application.client_type == "public") is public
    assert (secret_on(answer) is None) is public


def test_everything_that_is_said_is_kept(admin_client, settings):
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["DE"]
    admin_client.post(
        ADD,
        said(
            post_logout_redirect_uris="https://rp.example/bye",
            allowed_origins="https://rp.example",
            backchannel_logout_uri="https://rp.example/logout",
            initiate_login_uri="https://rp.example/start",
            client_uri="https://rp.example/",
            logo_uri="https://rp.example/logo.svg",
            policy_uri="https://rp.example/privacy",
            tos_uri="https://rp.example/terms#all",
            accent_color="#1A73e8",
            first_party="on",
            connections=["email", "passkey"],
            message="code",
            code_lifetime="180",
            code_length="8",
            code_tries="2",
            minimum_level="multi",
            id_token_alg="ES256",
            subject_type="pairwise",
            refresh="always",
            grants=["authorization_code", "client_credentials"],
            response_types=["code", "code id_token"],
            no_pkce="on",
        ),
    )

    application = clients.load("shop")
    client = application.passwordless_settings
    assert application.post_logout_redirect_uris == "https://rp.example/bye"
    assert application.allowed_origins == "https://rp.example"
    assert application.skip_authorization
    assert client.backchannel_logout_uri == "https://rp.example/logout"
    assert client.initiate_login_uri == "https://rp.example/start"
    assert (client.client_uri, client.logo_uri) == ("https://rp.example/", "https://rp.example/logo.svg")
    assert (client.policy_uri, client.tos_uri) == ("https://rp.example/privacy", "https://rp.example/terms#all")
    assert (client.accent_color, client.connections, client.message) == ("#1A73e8", ["email", "passkey"], "code")
    assert (client.code_lifetime, client.code_length, client.code_tries) == (180, 8, 2)
    assert (client.minimum_level, client.id_token_alg, client.subject_type) == ("multi", "ES256", "pairwise")
    assert (client.refresh, client.grants) == ("always", ["authorization_code", "client_credentials"])
    assert (client.response_types, client.requires_pkce) == (["code", "code id_token"], False)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"redirect_uris": "https://rp.example/cb\nhttps://*.rp.example/cb"}, "redirect_uris", "list each one"),
        ({"redirect_uris": "https://rp.example/cb#x"}, "redirect_uris", "fragment"),
        ({"redirect_uris": "http://rp.example/cb"}, "redirect_uris", "not encrypted"),
        ({"redirect_uris": ""}, "redirect_uris", "nobody can come back"),
        ({"redirect_uris": "com.example.app:/cb"}, "redirect_uris", "native apps"),
        ({"kind": "m2m"}, "redirect_uris", "machine"),
        ({"post_logout_redirect_uris": "https://rp.example/#"}, "post_logout_redirect_uris", "fragment"),
        ({"allowed_origins": "https://rp.example/"}, "allowed_origins", "https://rp.example."),
        ({"backchannel_logout_uri": "http://10.0.0.1/"}, "backchannel_logout_uri", "not encrypted"),
        ({"initiate_login_uri": "http://localhost/"}, "initiate_login_uri", "https"),
        ({"logo_uri": "javascript:alert(1)"}, "logo_uri", "https"),
        ({"accent_color": "red"}, "accent_color", "#1a73e8"),
        ({"name": ""}, "name", "required"),
        ({"name": "x\u202ey"}, "name", "seen"),
        ({"client_id": "a\u0007b"}, "client_id", "seen"),
        ({"code_lifetime": "601"}, "code_lifetime", "600"),
        ({"code_length": "5"}, "code_length", "6"),
        ({"code_tries": "6"}, "code_tries", "5"),
        ({"connections": ["sms"]}, "connections", "text message"),
        ({"connections": ["email"], "minimum_level": "phr"}, "minimum_level", "passkey"),
        ({"kind": "spa", "no_pkce": "on"}, "no_pkce", "PKCE"),
        ({"kind": "spa", "auth_method": "client_secret_basic"}, "auth_method", "secret"),
        ({"auth_method": "none"}, "auth_method", "server"),
        ({"kind": "native", "grants": ["client_credentials"]}, "grants", "secret"),
        ({"kind": "m2m", "redirect_uris": "", "grants": ["authorization_code"]}, "grants", "machine"),
        ({"auth_method": "private_key_jwt"}, "jwks", "at least one"),
        ({"jwks": "{"}, "jwks", "JSON"),
        ({"jwks": "[]"}, "jwks", "set of keys"),
        ({"jwks": '{"keys": []}'}, "jwks", "set of keys"),
        ({"jwks": '{"keys": [{"kty": "EC"}]}'}, "jwks", "read"),
        ({"jwks": '{"keys": [{"kty": "oct", "k": "AAAA"}]}'}, "jwks", "secret"),
        ({"response_types": ["code code"]}, "response_types", "valid choice"),
        ({"id_token_alg": "HS256"}, "id_token_alg", "valid choice"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(admin_client, changes, field, text):
    found = errors(admin_client.post(ADD, said(**changes)))

    assert set(found) == {field}
    assert text in found[field]
    assert not APPLICATION.objects.exists()


def test_keys_are_public_and_strong(admin_client):
    from jwcrypto.jwk import JWK

    good, weak = JWK.generate(kty="EC", crv="P-256"), JWK.generate(kty="RSA", size=1024)
    for key, text in (
        (good.export_private(), "private"),
        (weak.export_public(), "2048"),
    ):
        assert (
            text
            in errors(admin_client.post(ADD, said(auth_method="private_key_jwt", jwks=f'{{"keys": [{key}]}}')))["jwks"]
        )
    answer = admin_client.post(
        ADD, said(auth_method="private_key_jwt", jwks=f'{{"keys": [{good.export_public()}]}}'), follow=True
    )

    assert secret_on(answer) is None
    assert ClientSettings.objects.get().jwks == {"keys": [good.export_public(as_dict=True)]}


# -- changing


def test_saving_without_a_change_changes_nothing(admin_client):
    admin_client.post(ADD, said(code_lifetime="180", connections=["email"], subject_type="pairwise"))
    application = APPLICATION.objects.get()
    rows = list(APPLICATION.objects.values("client_secret", "redirect_uris")), list(ClientSettings.objects.values())

    answer = admin_client.post(change(application), fields_of(admin_client, change(application)), follow=True)

    assert secret_on(answer) is None
    assert rows == (
        list(APPLICATION.objects.values("client_secret", "redirect_uris")),
        list(ClientSettings.objects.values()),
    )
    assert not Event.objects.filter(kind="client_changed").exists()


def test_the_id_of_a_client_stays(admin_client):
    application = make_client()
    admin_client.post(change(application), {**fields_of(admin_client, change(application)), "client_id": "other"})

    assert APPLICATION.objects.get().client_id == "app"


def test_who_changed_what_is_written_down(admin_client, root):
    application = make_client()
    admin_client.post(change(application), {**fields_of(admin_client, change(application)), "name": "Other"})

    event = Event.objects.get(kind="client_changed")
    assert event.data == {"client_id": "app", "operator": f"root ({root.pk})", "fields": ["name"]}


def test_one_that_was_there_before_us_is_shown_as_it_behaves_and_saved_as_such(admin_client):
    application = APPLICATION.objects.create(
        client_id="old",
        name="Old",
        client_type="public",
        authorization_grant_type="openid-hybrid",
        redirect_uris="https://rp.example/cb",
    )
    before = ClientSettings.of(application)
    admin_client.post(change(application), fields_of(admin_client, change(application)))

    after = ClientSettings.objects.get()
    for name in ("kind", "response_types", "requires_pkce", "auth_method", "refresh", "id_token_alg"):
        assert getattr(after, name) == getattr(before, name), name


def test_what_becomes_public_has_no_secret_any_more_and_the_other_way_round(admin_client):
    secret = secret_on(admin_client.post(ADD, said()))
    application = APPLICATION.objects.get()
    page = change(application)
    fields = {**fields_of(admin_client, page), "kind": "spa", "auth_method": ""}
    answer = admin_client.post(page, fields, follow=True)

    assert errors_or_none(answer) is None
    assert secret_on(answer) is None
    assert not knows(secret)

    again = secret_on(admin_client.post(page, {**fields, "kind": "web"}))
    assert knows(again)
    assert not knows(secret)


def errors_or_none(answer):
    return errors(answer) if answer.context and "adminform" in answer.context and not answer.redirect_chain else None


def test_a_secret_that_signs_is_kept_so_that_it_can_be_used(admin_client):
    secret = secret_on(admin_client.post(ADD, said(auth_method="client_secret_jwt")))
    application = clients.load("shop")

    assert clients._secret_for_hmac(application, application.passwordless_settings) == secret
    page = change(application)
    answer = admin_client.post(page, {**fields_of(admin_client, page), "auth_method": "client_secret_basic"})
    assert answer.status_code == 302  # it keeps the secret that it has
    assert knows(secret)
    assert ClientSettings.objects.get().secret_sealed == ""


def test_a_pairwise_client_keeps_its_sector_whatever_becomes_of_its_addresses(admin_client):
    admin_client.post(ADD, said(subject_type="pairwise"))
    application = APPLICATION.objects.get()
    page = change(application)
    admin_client.post(page, {**fields_of(admin_client, page), "redirect_uris": "https://new.example/cb"})

    assert APPLICATION.objects.get().redirect_uris == "https://new.example/cb"
    assert ClientSettings.objects.get().sector_identifier == "rp.example"
    ClientSettings.objects.update(sector_identifier="")  # made elsewhere
    admin_client.post(page, {**fields_of(admin_client, page), "redirect_uris": "https://other.example/cb"})
    assert ClientSettings.objects.get().sector_identifier == "new.example"


# -- a new secret


def test_a_new_secret_is_asked_for_made_and_shown(admin_client, root):
    application = make_client(secret="s" * 40)
    page = f"{LIST}{application.pk}/new-secret/"
    assert f'href="{page}"' in admin_client.get(change(application)).content.decode()

    assert "worth nothing" in words(admin_client.get(page))
    assert knows("s" * 40, "app")
    answer = admin_client.post(page)

    secret = secret_on(answer)
    assert knows(secret, "app")
    assert not knows("s" * 40, "app")
    assert Event.objects.get(kind="client_secret_made").data["operator"] == f"root ({root.pk})"
    assert not Event.objects.filter(kind="client_changed").exists()
    assert "New secret" in words(admin_client.get(f"{LIST}{application.pk}/history/"))


def test_one_that_was_there_before_us_gets_one_too(admin_client):
    application = APPLICATION.objects.create(
        client_id="old", client_type="confidential", authorization_grant_type="authorization-code"
    )

    assert knows(secret_on(admin_client.post(f"{LIST}{application.pk}/new-secret/")), "old")


@pytest.mark.parametrize("facts", [{"public": True}, {"auth_method": "private_key_jwt"}], ids=str)
def test_who_has_no_secret_gets_none(admin_client, facts):
    application = make_client(**facts)

    assert "new-secret" not in admin_client.get(change(application)).content.decode()
    assert admin_client.post(f"{LIST}{application.pk}/new-secret/").status_code == 403


def test_a_client_that_is_not_there_has_no_page(admin_client):
    assert admin_client.get(f"{LIST}999/new-secret/").status_code == 404
    assert admin_client.get(f"{LIST}x/new-secret/").status_code == 404


# -- who may


def staff(*permissions):
    user = UserFactory(username="carol", address="carol@example.net", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in_client(User.objects.get(pk=user.pk), "phr")


def test_who_may_only_look_changes_nothing():
    application = make_client(secret="s" * 40)
    client = staff("view_application")

    page = client.get(change(application))
    assert "To paste into the client" in words(page)
    assert "new-secret" not in page.content.decode()
    assert client.post(f"{LIST}{application.pk}/new-secret/").status_code == 403
    assert client.post(change(application), said()).status_code == 403
    assert client.get(ADD).status_code == 403
    assert knows("s" * 40, "app")


def test_who_may_not_look_sees_nothing():
    application = make_client()
    client = staff()

    for page in (LIST, ADD, change(application), f"{LIST}{application.pk}/new-secret/"):
        assert client.get(page).status_code == 403


def test_whoever_signed_in_long_ago_confirms_first(clock, admin_client):
    application = make_client(secret="s" * 40)
    clock.shift(3600)

    for page in (ADD, change(application), f"{LIST}{application.pk}/new-secret/"):
        answer = admin_client.post(page, said())
        assert answer.status_code == 303
        assert answer["Location"].startswith("/login/step-up/")
    assert knows("s" * 40, "app")
    assert APPLICATION.objects.count() == 1


# -- the list, deleting


def test_clients_are_listed_by_name_and_kind(admin_client):
    make_client("one", kind="spa", public=True)
    APPLICATION.objects.create(client_id="old", client_type="public", authorization_grant_type="implicit")

    assert "single-page application" in words(admin_client.get(LIST))
    assert "1 application" in words(admin_client.get(LIST, {"kind": "spa"}))
    page = words(admin_client.get(LIST, {"kind": "none"}))
    assert "1 application" in page
    assert "old" in page
    assert "0 applications" in words(admin_client.get(LIST, {"kind": "m2m"}))
    for query in ({"q": "one"}, {"consent": "skipped"}, {"consent": "asked"}):
        assert "1 application" in words(admin_client.get(LIST, query)), query
    assert "2 applications" in words(admin_client.get(LIST, {"origin": "manual"}))
    assert "0 applications" in words(admin_client.get(LIST, {"origin": "dcr"}))


def test_pages_take_the_same_number_of_queries_whatever_there_is(admin_client):
    def queries(page):
        admin_client.get(page)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin_client.get(page).status_code == 200
        return len(captured)

    first = make_client("one")
    before = queries(LIST), queries(change(first))
    user = User.objects.get(username="root")
    for number in range(10):
        application = make_client(f"client-{number}")
        get_access_token_model().objects.create(
            user=user, application=application, token=f"t{number}", expires=timezone.now()
        )

    assert (queries(LIST), queries(change(first))) == before


def test_a_client_is_deleted_with_all_that_it_was_given(admin_client, root):
    """Django-oauth-toolkit lets nobody delete a token by hand, and so no client that has any."""
    application = make_client()
    access = get_access_token_model().objects.create(
        user=root, application=application, token="t", expires=timezone.now()
    )
    get_refresh_token_model().objects.create(user=root, application=application, token="r", access_token=access)
    page = f"{LIST}{application.pk}/delete/"

    assert "Are you sure" in words(admin_client.get(page))
    admin_client.post(page, {"post": "yes"})

    assert not APPLICATION.objects.exists()
    assert not get_access_token_model().objects.exists()
    assert Event.objects.get(kind="client_removed").data["client_id"] == "app"


def test_several_are_deleted_from_the_list(admin_client):
    rows = [make_client("one"), make_client("two")]
    admin_client.post(LIST, {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"})

    assert not APPLICATION.objects.exists()
    assert Event.objects.filter(kind="client_removed").count() == 2


def test_who_may_not_delete_is_told(db):
    application = make_client()
    client = staff("view_application", "change_application")

    assert client.post(f"{LIST}{application.pk}/delete/", {"post": "yes"}).status_code == 403
    assert APPLICATION.objects.exists()


# -- what to paste


@pytest.mark.parametrize(
    ("facts", "titles"),
    [
        ({}, ["Authlib", "openid-client", "What every library"]),
        ({"public": True, "kind": "spa"}, ["oidc-client-ts", "What every library"]),
        ({"public": True, "kind": "native"}, ["What every library", "openid-client"]),
        ({"kind": "m2m"}, ["curl", "What every library"]),
        ({"auth_method": "private_key_jwt"}, ["What every library"]),
    ],
    ids=str,
)
def test_there_is_something_to_paste_for_each_kind(admin_client, facts, titles):
    application = make_client("a client: 100%", **facts)

    html = admin_client.get(change(application)).content.decode()
    found = re.findall(r"<summary>([^<]+)</summary>", html.partition("pa-snippets")[2])
    assert [title for title, text in zip(titles, found, strict=True) if text.startswith(title)] == titles
    assert "http://testserver/" in html


def test_what_is_pasted_can_be_run(admin_client, tmp_path):
    """As far as a compiler can tell, with an id that needs quotes."""
    odd = 'a "client"\\: 100%'
    for kind, public in (("web", False), ("spa", True), ("native", True), ("m2m", False)):
        application = make_client(f"{odd} {kind}", kind=kind, public=public)
        for snippet in snippets.of(application):
            title = str(snippet.title)
            if title.startswith("Authlib"):
                compile(snippet.text, "snippet", "exec")
            elif title == "curl":
                command = shlex.split(snippet.text.partition("\n")[2])
                assert command[:2] == ["curl", "--user"]
                assert unquote(command[2].rpartition(":")[0]) == application.client_id
            elif "client" in title and shutil.which("node"):
                script = tmp_path / "snippet.mjs"
                script.write_text(snippet.text)
                subprocess.run(["node", "--check", str(script)], check=True, capture_output=True)


def test_what_is_pasted_is_quoted(admin_client):
    make_client('it\'s "so" & </code><b>', kind="m2m")
    html = admin_client.get(change(APPLICATION.objects.get())).content.decode()

    assert "</code><b>" not in html
    assert "--user it%27s%20%22so%22%20%26%20%3C%2Fcode%3E%3Cb%3E:" in html


def test_the_pages_are_german_for_who_reads_german(admin_client):
    application = make_client()
    german = {"headers": {"accept-language": "de"}}

    for page, text in (
        (LIST, "wird nicht eingeholt"),
        (ADD, "Client hinzufügen"),
        (change(application), "In den Client einzufügen"),
        (f"{LIST}{application.pk}/new-secret/", "Neues Geheimnis"),
    ):
        assert text in words(admin_client.get(page, **german))


def test_the_host_may_name_an_admin_of_its_own(settings):
    from passwordless_auth.oidc import _dot

    settings.OAUTH2_PROVIDER = {"APPLICATION_ADMIN_CLASS": "oauth2_provider.admin.ApplicationAdmin"}

    assert _dot.oauth2_settings.APPLICATION_ADMIN_CLASS.__module__ == "oauth2_provider.admin"
    assert reverse("admin:oauth2_provider_application_add") == ADD
