"""Under ASGI the same pages do the same."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient

from passwordless_auth.models import SignIn
from passwordless_auth.testing import outbox

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@example.com"


@pytest.fixture(autouse=True)
def closed_connections():
    """Views run in a thread of asgiref's, whose connection nobody else closes."""
    yield
    asyncio.run(sync_to_async(connections.close_all)())


def test_a_person_signs_in_steps_up_and_signs_out_under_asgi(settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""
    client = AsyncClient()

    async def story():
        answers = [await client.get("/login/")]
        answers.append(await client.post("/login/", {"identifier": ADA, "next": "/recent/"}))
        return answers

    login, asked = asyncio.run(story())
    assert (login.status_code, asked.status_code) == (200, 303)
    code, link = outbox.last_code(ADA), outbox.last_link(ADA)

    async def finish():
        opened = await client.get(link)
        page = await client.get("/login/link/")
        done = await client.post("/login/wait/", {"code": code})
        return opened, page, done, await client.get("/recent/"), await client.get("/login/session.json")

    opened, page, done, recent, who = asyncio.run(finish())
    assert (opened.status_code, page.status_code) == (303, 200)
    assert (done.status_code, done["Location"]) == (303, "/recent/")
    assert recent.status_code == 200
    assert who.json()["user"]["email"] == ADA
    assert SignIn.objects.get().session_key() == client.cookies["sessionid"].value

    settings.PASSWORDLESS_AUTH_STEP_UP_LIFETIME = 0

    async def confirm():
        return await client.get("/recent/"), await client.post("/login/step-up/", {"next": "/members/"})

    guarded, asked = asyncio.run(confirm())
    assert guarded["Location"].startswith("/login/step-up/")
    assert asked.status_code == 303

    async def leave():
        done = await client.post("/login/wait/", {"code": outbox_code})
        left = await client.post("/logout/")
        return done, left, await client.get("/login/session.json")

    outbox_code = outbox.last_code(ADA)
    done, left, who = asyncio.run(leave())
    assert done["Location"] == "/members/"
    assert left["Location"] == "/logout/done/"
    assert not who.json()["authenticated"]
    sign_in = SignIn.objects.get()
    assert (sign_in.auth_time > sign_in.created_at, sign_in.end_reason) == (True, "signed_out")
