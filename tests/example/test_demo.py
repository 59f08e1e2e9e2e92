"""``manage.py demo``, through its front door."""

import re
import socket

import pytest

from .conftest import MANAGE, manage


def sign_in(site, visitor, address="ada@example.com", path="/login/"):
    before = len(site.messages(address))
    visitor.get(path)
    visitor.post(path, identifier=address)
    return visitor.post("/login/wait/", code=site.message(address, before + 1)["code"])


def test_the_first_page_says_what_to_do(site):
    page = site.visitor().get("/")

    assert page.status == 200
    assert "You are not signed in." in page.text
    for link in ("/login/", "/account/", "/members/", "/members/recent/", "/inbox/", "/admin/"):
        assert f'href="{link}"' in page.text
    assert "<script>" not in page.text
    assert not re.search(r"\sstyle=|<style|\son\w+=", page.text)


def test_it_speaks_german(site):
    visitor = site.visitor(language="de")

    assert "Sie sind nicht angemeldet." in visitor.get("/").text
    assert visitor.post("/language/setlang/", language="en", next="/").url == f"{site.url}/"
    assert "You are not signed in." in visitor.get("/").text


def test_style_sheets_are_served_without_debug_and_without_collecting_them(site):
    for path in ("example_project/example.css", "inbox/inbox.css", "passwordless_auth/passwordless.css"):
        file = site.visitor().get(f"/static/{path}")
        assert file.status == 200, path
        assert file.headers["Content-Type"].startswith("text/css")


def test_a_person_signs_in_by_the_code_of_the_inbox(site):
    visitor = site.visitor()
    assert "/login/" in visitor.get("/members/").url

    sign_in(site, visitor)

    assert "Welcome, Ada" in visitor.get("/members/").text
    assert "You are signed in as <strong>ada@example.com</strong>" in visitor.get("/").text
    assert visitor.get("/login/session.json").json()["user"]["email"] == "ada@example.com"
    assert "It is really you" in visitor.get("/members/recent/").text


def test_a_person_signs_in_by_the_link_of_the_inbox(site):
    visitor = site.visitor()
    visitor.get("/login/")
    visitor.post("/login/", identifier="Somebody.New@Example.com")

    page = visitor.get(site.message("somebody.new@example.com")["link"])
    challenge = re.search(r'name="challenge" value="([^"]+)"', page.text)[1]
    visitor.post("/login/link/", challenge=challenge, action="sign_in")

    assert "Welcome, somebody.new@example.com" in visitor.get("/members/").text


def test_an_administrator_comes_to_the_admin_by_our_sign_in_page(site):
    visitor = site.visitor()
    asked = visitor.get("/admin/")
    assert asked.url.startswith(f"{site.url}/login/?next=/admin/")

    sign_in(site, visitor, "admin@example.com", "/login/?next=/admin/")

    admin = visitor.get("/admin/login/?next=//evil.example/")
    assert admin.url == f"{site.url}/admin/"
    assert "Site administration" in admin.text


def test_other_people_do_not_come_to_the_admin(site):
    visitor = site.visitor()
    sign_in(site, visitor, "grace@example.com")

    page = visitor.get("/admin/")

    assert page.status == 403
    assert "This is not for you" in page.text


def test_an_address_that_leads_nowhere_says_so_in_the_look_of_the_site(site):
    page = site.visitor().get("/nowhere/")

    assert page.status == 404
    assert "There is nothing here" in page.text


def test_no_link_and_no_code_is_in_what_it_prints(site):
    visitor = site.visitor()
    visitor.get("/login/")
    visitor.post("/login/", identifier="log@example.com")
    message = site.message("log@example.com")
    visitor.get(message["link"])
    visitor.get(message["link"].replace("/login/link/", "/nowhere/login/link/"))  # a 404 is logged with its path

    log = site.log.read_text()

    assert "/nowhere/login/link/…" in log
    assert message["link"].rstrip("/").rpartition("/")[2] not in log
    assert message["code"] not in log


def test_it_says_what_to_open_and_ends_at_ctrl_c(tmp_path, site):
    other = type(site)(tmp_path)
    other.start()

    assert other.stop() == 0

    printed = other.log.read_text()
    for path in ("/", "/login/", "/inbox/", "/admin/"):
        assert f"  {other.url}{path}" in printed
    assert f"  {other.client_url}/" in printed
    with pytest.raises(ConnectionRefusedError):  # it has ended, too
        socket.create_connection(("127.0.0.1", other.client_port), timeout=5)
    assert printed.rstrip().endswith("Stopped.")
    assert "Traceback" not in printed


def test_a_port_that_is_none_is_refused(site):
    assert "--port must be a number from 1 to 65535." in site.manage("demo", "--port", "65536").stderr


def test_a_port_that_is_taken_is_no_place_for_the_other_site(site):
    done = site.manage("demo", "--port", "1", "--client-port", str(site.client_port))

    assert "That port is already in use." in done.stderr
    assert "--client-port 0 does without it" in done.stderr


def test_seeding_twice_changes_nothing(site):
    rows = "SELECT id, username, email, is_superuser, password FROM auth_user WHERE email LIKE '%@example.com'"
    identities = "SELECT id, user_id, canonical, origin, proven_at FROM passwordless_auth_identity"
    clients = (
        "SELECT * FROM oauth2_provider_application JOIN passwordless_auth_oidc_clientsettings ON id = application_id"
    )
    before = site.sql(rows), site.sql(identities)
    (client,) = site.sql(clients)

    done = site.manage("seed_demo")

    assert done.stdout == "0 of 5 people were new.\n", done.stderr
    assert (site.sql(rows), site.sql(identities)) == before
    assert len(site.sql(clients)) == 1
    assert site.client_url in str(client)
    assert [email for _id, _name, email, is_superuser, _password in before[0] if is_superuser] == ["admin@example.com"]


def test_who_is_seeded_has_a_proven_address(site):
    found = site.sql(
        "SELECT canonical FROM passwordless_auth_identity "
        "WHERE is_primary AND proven_at IS NOT NULL AND origin = 'import' ORDER BY canonical"
    )

    assert [name for (name,) in found] == [
        "ada@example.com",
        "admin@example.com",
        "alan@example.com",
        "closed@example.com",
        "grace@example.com",
    ]


def test_models_and_migrations_are_in_step(site):
    assert "No changes detected" in site.manage("makemigrations", "--check", "--dry-run", "inbox").stdout


def test_its_own_folder_is_not_on_the_path(site):
    """Its ``inbox`` and ``settings`` would be modules of their own then, and hide others of these names."""
    script = "from importlib.util import find_spec; print([find_spec(name) for name in ('inbox', 'settings', 'urls')])"

    done = manage("shell", "-c", script, cwd=MANAGE.parent, **site.environment)

    assert done.stdout.endswith("[None, None, None]\n"), done.stderr


def test_what_is_ready_for_production_passes_the_checks_for_it(site):
    production = {
        **site.environment,
        "EMAIL_HOST": "mail.example.com",
        "SITE_URL": "https://example.com",
        "SECURE_PROXY_SSL_HEADER": "1",
        "SECRET_KEY": "k7!nq@0z9-2vb^m#x_4w8e$1rt6y5u3i&o*pl(jh)gfdsa+Zc=",
        "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS": "1/60s,5/15m,10/d",
        "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER": "1/60s,5/15m,10/d",
    }

    done = manage("check", "--deploy", "--fail-level", "WARNING", cwd=site.folder, **production)
    open_inbox = manage("check", "--deploy", cwd=site.folder, **production, INBOX="1")

    assert done.returncode == 0, done.stderr
    assert "example_project.W001" in open_inbox.stdout + open_inbox.stderr
