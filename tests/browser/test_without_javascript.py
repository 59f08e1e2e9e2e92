"""Every page does its work in a browser that runs no script."""

import pytest
from playwright.sync_api import expect

from .people import another_code, path
from .site import address

pytestmark = pytest.mark.browser


@pytest.fixture
def people(people):
    def make(*arguments, **options):
        return people(*arguments, java_script_enabled=False, **options)

    return make


def test_no_script_runs_here(person):
    person.page.set_content("<body data-page=plain><script>document.body.dataset.page = 'scripted'</script>")

    person.sees("plain")


def test_a_person_signs_in_by_the_code(site, person):
    ada = address()
    person.asks(ada)
    code = site.message(ada)["code"]
    person.types_code(another_code(code))
    person.sees("wait", "invalid_code")
    person.types_code(code)

    person.sees("account")
    person.is_signed_in_as(ada)


def test_the_link_takes_one_press_in_the_browser_that_asked(site, person):
    ada = address()
    person.asks(ada)
    person.page.goto(site.message(ada)["link"])
    person.sees("link")
    person.presses("Sign in")

    person.sees("account")
    person.is_signed_in_as(ada)


def test_the_link_elsewhere_takes_the_address(site, people):
    ada = address()
    people().asks(ada)
    person = people()
    person.page.goto(site.message(ada)["link"])
    person.sees("link_elsewhere")
    person.page.get_by_label("Your complete e-mail address").fill(ada)
    person.presses("Sign in here instead")

    person.sees("account")
    person.is_signed_in_as(ada)


def test_the_link_elsewhere_can_be_refused(site, people):
    ada = address()
    asking, reading = people(), people()
    asking.asks(ada)
    reading.page.goto(site.message(ada)["link"])
    reading.page.get_by_label("Your complete e-mail address").fill(ada)
    reading.presses("This wasn’t me")
    reading.sees("denied")
    asking.types_code(site.message(ada)["code"])

    asking.sees("error", "superseded")


def test_the_waiting_page_tells_the_news_after_a_reload(site, person):
    ada = address()
    person.asks(ada)
    site.set_delivery(ada, "queued")
    person.follows("Check again")
    expect(person.page.get_by_text("On its way to the mail server.")).to_be_visible()
    site.set_delivery(ada, "handed_over")
    person.follows("Check again")
    expect(person.page.get_by_text("Handed over to the mail server.")).to_be_visible()
    site.set_delivery(ada, "failed")
    person.follows("Check again")
    expect(person.page.get_by_text("We could not send this message.")).to_be_visible()


def test_the_message_can_be_sent_again_after_a_while(site, person):
    ada = address()
    person.asks(ada)
    person.presses("Send it again")
    person.sees("error", "too_many_requests")
    person.page.go_back()
    site.forget_limits()
    person.presses("Send it again")
    person.sees("wait")
    expect(person.page.get_by_text("Here comes the message once more.")).to_be_visible()
    again = site.message(ada, 2)
    assert again["code"] == site.messages(ada)[1]["code"]
    person.types_code(again["code"])

    person.sees("account")


def test_the_address_can_be_changed(site, person):
    ada = address()
    person.asks(address("slip"))
    person.follows("Change the address")
    person.sees("login")
    person.page.get_by_label("E-mail address").fill(ada)
    person.presses("Send me the message")
    person.types_code(site.message(ada)["code"])

    person.sees("account")
    person.is_signed_in_as(ada)


def test_sessions_are_listed_and_ended(people):
    ada = address()
    here, there = people(), people()
    here.comes_signed_in(ada)
    here.site.forget_limits()
    there.comes_signed_in(ada)
    here.opens("/account/", "account")
    here.follows("Everywhere you are signed in")
    here.sees("sessions")
    expect(here.page.get_by_role("button", name="End", exact=True)).to_have_count(2)
    here.presses("Sign out everywhere else")
    expect(here.page.get_by_role("button", name="End", exact=True)).to_have_count(1)
    here.is_signed_in_as(ada)
    there.is_signed_out()
    here.presses("Sign out everywhere")

    here.sees("signed_out")
    here.is_signed_out()


def test_a_person_signs_out(person):
    person.comes_signed_in(address())
    person.opens("/account/", "account")
    person.presses("Sign out")
    person.sees("signed_out")
    person.is_signed_out()
    person.follows("Sign in again")

    person.sees("login")


def test_a_stale_proof_is_renewed(site, strict_site, people):
    ada = address()
    before = people()
    before.comes_signed_in(ada)
    site.age_session(before.session_key, 60)
    site.forget_limits()
    person = people(strict_site, storage_state=before.context.storage_state())
    person.opens("/login/step-up/?next=/members/", "step_up")
    person.presses("Send me the code")
    person.sees("wait")
    person.code_field.fill(site.message(ada, 2)["code"])
    person.presses("Confirm")

    expect(person.page).to_have_url(path("/members/"))
