"""A form that was sent to a guarded view is not lost while its sender confirms who they are."""

import asyncio
from urllib.parse import urljoin

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import AsyncClient

from passwordless_auth import kept_form
from passwordless_auth.testing import add_totp, outbox, signed_in_client, totp_code
from passwordless_auth.testing.factories import UserFactory

from ..totp import ADA, sign_in_with_app
from .pages import Page, visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(browser, clock):
    """A browser whose last proof is an hour old."""
    browser.sign_in(ADA)
    clock.shift(3600)
    return browser


def confirm(browser, response):
    """From the refused POST to where the step-up leads."""
    assert response.status_code == 303
    page = Page(browser.get(response["Location"]))
    assert page.name == "step_up"
    page = page.press(browser, "Send me the code")
    return page.press(browser, "Confirm", code=outbox.last_code(ADA))


AMOUNT = {"amount": "10", "to": ["bob", "eve"], "note": 'für "Ada" <b>&amp;</b>\r\nzweite Zeile', "empty": ""}


def test_what_was_sent_is_sent_again_after_the_confirmation(member):
    page = confirm(member, member.submit("/order/?as=gift", AMOUNT))
    assert (page.status, page.name) == (200, "resume")
    form = page.form("Continue")
    assert (form.action, form.method) == ("/order/?as=gift", "post")
    answer = member.post(form.action, page_fields(page))

    sent = answer.json()
    assert (sent["method"], sent["at"]) == ("POST", "/order/?as=gift")
    assert sent["sent"] == {name: value if isinstance(value, list) else [value] for name, value in AMOUNT.items()}


def page_fields(page):
    """All fields of a page's one form, each as often as it is there."""
    fields = {}
    for name, value in page.sent:
        fields.setdefault(name, []).append(value)
    return fields


def test_the_token_that_was_sent_is_not_kept_and_a_new_one_is_given(member):
    response = member.submit("/order/", AMOUNT)
    old = member.cookies["csrftoken"].value
    page = confirm(member, response)

    assert old not in page.html
    assert page.form("Continue").fields["csrfmiddlewaretoken"]
    assert member.cookies["csrftoken"].value != old


def test_a_form_is_sent_again_the_way_it_came(member, clock):
    page = confirm(member, member.submit("/order/", AMOUNT))
    assert 'enctype="multipart/form-data"' in page.html
    clock.shift(3600)
    page = confirm(member, send_urlencoded(member, "amount=7&amount=8"))

    assert 'enctype="application/x-www-form-urlencoded"' in page.html
    assert page_fields(page)["amount"] == ["7", "8"]


def send_urlencoded(browser, body):
    token = browser.cookies["csrftoken"].value
    return browser.post(
        "/order/", f"{body}&csrfmiddlewaretoken={token}", content_type="application/x-www-form-urlencoded"
    )


def test_it_is_shown_once(member):
    response = member.submit("/order/", AMOUNT)
    page = confirm(member, response)
    address = page.response.redirect_chain[-1][0]
    again = Page(member.get(address))

    assert address.startswith("/login/step-up/resume/?form=")
    assert (again.status, again.name, again.code) == (410, "error", "expired")
    assert "fill in the form again" in again.words
    assert again.next_steps[1:] == ["Go to your account"]
    assert "10" not in again.inputs


def test_it_waits_for_ten_minutes(member, clock):
    response = member.submit("/order/", AMOUNT)
    clock.shift(599)
    assert confirm(member, response).name == "resume"
    clock.shift(3600)
    member.submit("/order/", AMOUNT)
    name = member.session[kept_form.KEY]["name"]
    clock.shift(600)
    assert visit(member, f"/login/step-up/resume/?form={name}").code == "expired"


def test_what_nobody_came_back_for_does_not_stay_in_the_session(member, clock):
    member.submit("/order/", AMOUNT)
    assert kept_form.KEY in member.session
    clock.shift(601)
    member.get("/members/")

    assert kept_form.KEY not in member.session


def test_only_the_newest_is_kept(member):
    first = member.submit("/order/", {"amount": "1"})
    member.submit("/order/", {"amount": "2"})

    assert confirm(member, first).code == "expired"
    assert member.session[kept_form.KEY]["fields"] == [["amount", "2"]]


def test_the_next_person_in_this_browser_does_not_get_it(member):
    response = member.submit("/order/", AMOUNT)
    name = member.session[kept_form.KEY]["name"]
    member.sign_in("bob@example.com")

    page = visit(member, f"/login/step-up/resume/?form={name}")
    assert page.code == "expired"
    assert kept_form.KEY not in member.session
    assert response.status_code == 303


def test_nobody_gets_it_by_its_name_alone(member, other_browser):
    member.submit("/order/", AMOUNT)
    name = member.session[kept_form.KEY]["name"]
    assert visit(other_browser, f"/login/step-up/resume/?form={name}").name == "login"
    other_browser.sign_in("eve@example.com")

    assert visit(other_browser, f"/login/step-up/resume/?form={name}").code == "expired"


def test_who_goes_there_without_a_confirmation_is_sent_to_it_again(member):
    response = member.submit("/order/", AMOUNT)
    name = member.session[kept_form.KEY]["name"]
    page = visit(member, f"/login/step-up/resume/?form={name}")
    answer = member.post("/order/", page_fields(page))

    assert answer.status_code == 303
    assert answer["Location"] != response["Location"]
    assert page_fields(confirm(member, answer))["note"] == [AMOUNT["note"]]


@pytest.mark.urls("tests.catch_all_urls")
@pytest.mark.parametrize("path", ["//evil.example/order/", "/\\evil.example/", "//evil.example@testserver/"])
def test_it_never_leads_to_another_host(member, path):
    """Whatever the path of a guarded view looks like: the form is sent to this site."""
    token = member.cookies["csrftoken"].value
    response = member.generic(
        "POST",
        path,
        f"amount=1&csrfmiddlewaretoken={token}",
        content_type="application/x-www-form-urlencoded",
        PATH_INFO=path,
    )
    page = confirm(member, response)

    action = page.form("Continue").action
    assert urljoin("http://testserver/login/", action.replace("\\", "/")).startswith("http://testserver/")
    assert "evil.example" in action


# -- what is not kept


def test_files_are_not_kept_and_the_person_is_told(member):
    upload = SimpleUploadedFile("photo.png", b"x")
    page = confirm(member, member.submit("/order/", {**AMOUNT, "photo": upload}))

    assert (page.status, page.name) == (200, "resume")
    assert "files are not kept" in page.words
    assert page.links["Back to the form"] == "/order/"
    assert page.forms == []
    assert kept_form.KEY not in member.session


@pytest.mark.parametrize(("size", "kept"), [(60 * 1024, True), (65 * 1024, False)])
def test_what_is_too_big_is_not_kept_and_the_person_is_told(member, size, kept):
    page = confirm(member, send_urlencoded(member, f"note={'x' * size}"))

    assert page.name == "resume"
    assert ("Continue" in page.next_steps) is kept
    assert ("was too much to be kept" in page.words) is not kept


def test_what_grows_while_it_is_read_is_too_big_as_well(member):
    """Each byte that is no UTF-8 becomes a character of two."""
    token = member.cookies["csrftoken"].value.encode()
    body = b"csrfmiddlewaretoken=" + token + b"&note=" + b"\xff" * 40_000
    page = confirm(member, member.post("/order/", body, content_type="application/x-www-form-urlencoded"))

    assert "was too much to be kept" in page.words


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_what_is_no_form_is_not_kept(member, content_type):
    token = member.cookies["csrftoken"].value
    response = member.post("/order/", "{}", content_type=content_type, headers={"X-CSRFToken": token})
    page = confirm(member, response)

    assert "was too much to be kept" in page.words
    assert page.links["Back to the form"] == "/order/"


def test_a_get_is_not_kept(member):
    assert member.get("/order/?a=1")["Location"] == "/login/step-up/?next=%2Forder%2F%3Fa%3D1"
    assert kept_form.KEY not in member.session


def test_other_methods_are_not_kept_and_not_repeated(member):
    token = member.cookies["csrftoken"].value
    for method in ("put", "patch", "delete"):
        response = getattr(member, method)("/order/", "a=1", headers={"X-CSRFToken": token})
        assert (response.status_code, response["Location"]) == (303, "/login/step-up/?next=%2Forder%2F")
    assert kept_form.KEY not in member.session


@pytest.mark.parametrize("path", ["/order/checked-inside/", "/order/hook/"])
def test_what_came_without_a_good_token_is_not_kept(member, path):
    """SECURITY: it would come back with the person's own: a form of another site, sent in their name."""
    for token in ({}, {"csrfmiddlewaretoken": "x" * 64}):
        response = member.post(path, {**AMOUNT, **token})
        assert (response.status_code, kept_form.KEY in member.session) == (303, False)
        assert response["Location"] == f"/login/step-up/?next={path.replace('/', '%2F')}"

    page = confirm(member, member.submit(path, AMOUNT))
    assert page.form("Continue").action == path
    assert member.post(path, page_fields(page)).json()["sent"]["amount"] == ["10"]


def test_a_form_of_another_site_is_not_kept(member):
    token = member.cookies["csrftoken"].value
    response = member.post(
        "/order/checked-inside/",
        {**AMOUNT, "csrfmiddlewaretoken": token},
        headers={"Origin": "https://evil.example"},
    )

    assert (response.status_code, kept_form.KEY in member.session) == (303, False)


@pytest.mark.parametrize("method", ["post", "put", "head"])
def test_the_page_is_only_to_be_looked_at(member, method):
    response = member.submit("/order/", AMOUNT)
    address = f"/login/step-up/resume/?form={member.session[kept_form.KEY]['name']}"
    assert getattr(member, method)(address).status_code in {403, 405}

    assert confirm(member, response).name == "resume"


def test_two_factors_bring_a_form_back_too(browser, clock):
    ada = UserFactory(email=ADA)
    app = add_totp(ada)
    sign_in_with_app(browser, app)
    clock.shift(3600)
    response = browser.submit("/invoices/", AMOUNT)
    page = Page(browser.get(response["Location"]))
    page = page.press(browser, "Confirm", code=totp_code(app))

    assert browser.post(page.form("Continue").action, page_fields(page)).json()["at"] == "/invoices/"


# -- async


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/async/", "/async/invoices/"])
def test_an_async_view_is_guarded_and_its_form_is_kept(settings, path):
    settings.PASSWORDLESS_AUTH_STEP_UP_LIFETIME = 600
    ada = UserFactory(email=ADA)
    client = AsyncClient()
    client.cookies.update(signed_in_client(ada, "phr").cookies)

    async def story():
        visitor = await AsyncClient().get(path)
        seen = await client.get(path)
        settings.PASSWORDLESS_AUTH_STEP_UP_LIFETIME = settings.PASSWORDLESS_AUTH_LEVEL_LIFETIME = 0
        refused = await client.post(path, {"amount": "10"})
        settings.PASSWORDLESS_AUTH_STEP_UP_LIFETIME = settings.PASSWORDLESS_AUTH_LEVEL_LIFETIME = 600
        page = await client.get((await client.get(refused["Location"]))["Location"])
        sent = await client.post(path, {"amount": "10"})
        await sync_to_async(connections.close_all)()
        return visitor, seen, refused, page, sent

    visitor, seen, refused, page, sent = asyncio.run(story())
    assert visitor["Location"].startswith("/login/?next=")
    assert (seen.status_code, seen.content) == (200, f"hello {ada}".encode())
    assert refused.status_code == 303
    assert Page(page).form("Continue").fields["amount"] == "10"
    assert sent.status_code == 200
    assert User.objects.count() == 1
