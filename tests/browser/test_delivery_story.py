"""A message's way, as those live it whom it concerns: Ada with her phone, somebody at a strange browser, the people who
run the site; while one provider is down, and a mailbox is gone."""

import base64
import re
import urllib.request
from datetime import UTC, datetime
from types import SimpleNamespace

import django
import pytest
from playwright.sync_api import expect

from tests.channels import twilio_server
from tests.mail_services import SECRET, Postmark

from . import pictures
from .people import PHONE
from .site import Site, address, number
from .states import FIREFOX, IPHONE

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(django.VERSION < (6, 1), reason="two mail servers beside each other: MAILERS"),
]

ADDRESSES = "/account/identities/"


@pytest.fixture(scope="module")
def twilio():
    with twilio_server.running() as server:
        yield server


@pytest.fixture(scope="module")
def postmark():
    service = Postmark()
    yield service
    service.close()


@pytest.fixture(scope="module")
def provider_site(tmp_path_factory, twilio, postmark):
    """The example, which sends by Twilio or else by the inbox, and to some addresses by Postmark."""
    with Site(
        tmp_path_factory.mktemp("providers"),
        DJANGO_SETTINGS_MODULE="tests.browser.provider_host.settings",
        TWILIO_ACCOUNT_SID=twilio_server.ACCOUNT,
        TWILIO_AUTH_TOKEN=twilio_server.TOKEN,
        TWILIO_URL=twilio.url,
        POSTMARK_URL=postmark.url,
        WEBHOOK_SECRET=SECRET,
        PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS="",
        PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER="",
        PASSWORDLESS_AUTH_SMS_LIMIT_PER_NUMBER="",
        PASSWORDLESS_AUTH_SMS_LIMIT_PER_KNOWN_BROWSER="",
    ) as running:
        yield running


class Hooks:
    """Where the site hears from its mail service."""

    def __init__(self, site):
        self.site = site

    def post(self, path, body, content_type, **_headers):
        headers = {"Content-Type": content_type, "Authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()}
        request = urllib.request.Request(f"{self.site.inside}{path}", data=body.encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


def comes_back(postmark, site, to):
    """Postmark tells that there is no such mailbox."""
    ((public_id, provider_id),) = site.sql(
        "SELECT public_id, provider_id FROM passwordless_auth_delivery WHERE canonical = ? ORDER BY id DESC LIMIT 1", to
    )
    delivery = SimpleNamespace(canonical=to, public_id=public_id, provider_id=provider_id)
    postmark.tell(Hooks(site), "bounced", delivery, at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


def types(person, typed):
    """An address or a number, into the one field of the page."""
    person.page.locator("#identifier").fill(typed)
    person.page.locator("#identifier").press("Enter")
    person.sees("wait")


def types_newest_code(person, to):
    """The newest code that the inbox has for an address, once one more message has come."""
    person.types_code(person.site.message(to, len(person.site.messages(to)))["code"])


def asks_and_waits(person, typed):
    before = len(person.site.messages(typed))
    types(person, typed)
    person.site.message(typed, before + 1)


def state_of(person):
    return person.page.locator("[data-delivery]")


def test_from_the_first_code_to_the_answer_why_a_mail_did_not_come(people, provider_site, twilio, postmark):
    site = provider_site
    mobile, mail, work, gone = number(), address("ada"), address("work"), address("by-postmark")

    # Ada signs up by her number. Twilio takes the message.
    ada = people(site, viewport=PHONE, user_agent=IPHONE)
    ada.opens("/login/")
    types(ada, mobile)
    expect(state_of(ada)).to_contain_text("Handed over to the phone network")
    code = re.search(r"^@localhost #(\d+)$", twilio.asked[-1][1]["Body"], re.M)[1]
    ada.types_code(code)
    ada.sees("account")

    # Twilio is down when she comes back. The second provider has the same message in the same moment: she sees no more
    # of it than before.
    twilio.drops = True
    ada.context.clear_cookies(name="sessionid")
    ada.opens("/login/")
    asks_and_waits(ada, mobile)
    expect(state_of(ada)).to_contain_text("Handed over to the phone network")
    pictures.take(ada.page, "story_second_provider")
    types_newest_code(ada, mobile)
    ada.sees("account")

    # A while later she adds an e-mail address, and first confirms that it is her.
    site.age_session(ada.session_key, 3600)
    ada.opens(ADDRESSES, "identities")
    ada.page.locator("#identifier").fill(mail)
    ada.page.locator("#identifier").press("Enter")
    ada.sees("step_up")
    before = len(site.messages(mobile))
    ada.presses("Send me the code")
    ada.sees("wait")
    site.message(mobile, before + 1)
    types_newest_code(ada, mobile)
    site.message(mail)  # what she had typed was kept, and is sent now
    ada.sees("wait")
    expect(ada.page.get_by_text(mail)).to_be_visible()
    types_newest_code(ada, mail)
    ada.sees("identities")
    expect(ada.page.get_by_role("status")).to_contain_text("The address was added")

    # She has another account, which she made at her desk. It is linked to this one by the proof of its address.
    desk = people(site, user_agent=FIREFOX)
    desk.signs_in(work)
    asks_and_waits(ada, work)
    types_newest_code(ada, work)
    expect(ada.page.get_by_role("heading", name="This address has an account of its own")).to_be_visible()
    pictures.take(ada.page, "story_link_offer")
    ada.presses("Link the accounts")
    expect(ada.page.get_by_role("status")).to_contain_text("The accounts are linked")
    desk.is_signed_out()

    # At a strange browser somebody types an address whose mailbox is gone. The page tells it, and leads on.
    stranger = people(site, user_agent=FIREFOX)
    stranger.opens("/login/")
    types(stranger, gone)
    expect(state_of(stranger)).to_contain_text("Handed over to the mail server")
    comes_back(postmark, site, gone)
    expect(state_of(stranger)).to_have_text("This message could not be delivered. Please use another way.")
    expect(stranger.page.get_by_role("link", name="Use a recovery code")).to_be_visible()
    pictures.take(stranger.page, "story_came_back")
    stranger.follows("Change the address")
    stranger.sees("login")

    # They read Ada's mail, and get in. Her number and her other address hear of it; one press, and they are out.
    asks_and_waits(stranger, mail)
    before = len(site.messages(mobile))
    types_newest_code(stranger, mail)
    stranger.sees("account")
    assert site.message(work, about="New sign-in")["link"]
    notice = site.message(mobile, before + 1)
    assert notice["text"].startswith("New sign-in to your account")
    ada.opens(notice["link"], "report")
    expect(ada.page.get_by_text("Firefox on Windows")).to_be_visible()
    pictures.take(ada.page, "story_report")
    ada.presses("This wasn’t me")
    expect(ada.page.get_by_role("heading", name="Changes are stopped")).to_be_visible()
    stranger.is_signed_out()
    assert ada.session()["authenticated"]

    # "I got no mail": the administrator sees why, and lifts the mark once the mailbox is there again.
    root = people(site)
    root.signs_in("admin@example.com")
    root.page.goto(f"{site.url}/admin/passwordless_auth/delivery/?q={gone}")
    row = root.page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("bounced 550 5.1.1")
    expect(row).to_contain_text("Postmark")
    pictures.take(root.page, "story_ledger")
    row.locator(".field-mark a").click()
    root.follows("Lift the mark")
    root.page.get_by_label("Why").fill("A new mailbox of the same name, she called")
    root.page.get_by_role("button", name="Lift the mark").click()
    expect(root.page.get_by_text("1 mark is lifted.")).to_be_visible()
    root.page.goto(f"{site.url}/admin/passwordless_auth/delivery/?q={mobile.replace('+', '%2B')}")
    expect(root.page.locator("#result_list tbody tr").last).to_contain_text("twilio")
    expect(root.page.locator("#result_list tbody tr").first).to_contain_text("second")
    root.page.goto(f"{site.url}/admin/passwordless_auth/delivery/text-messages/")
    expect(root.page.locator("#result_list tbody tr").first).to_have_text(re.compile(r"^\s*DE\s*1\s*1 \(100 %\)"))
    pictures.take(root.page, "story_texts")
