"""The journeys of a sign-in, each to its end."""

import pytest
from playwright.sync_api import expect

from .people import another_code, path, path_of
from .site import address

pytestmark = pytest.mark.browser


def test_a_person_signs_in_by_the_code(site, person):
    ada = address()
    person.asks(ada)
    expect(person.code_field).to_be_focused()

    person.types_code(site.message(ada)["code"])

    person.sees("account")
    person.is_signed_in_as(ada)


def test_a_person_lands_where_they_wanted_to_go(site, person):
    ada = address()
    person.opens("/members/")
    person.sees("login")
    person.page.get_by_label("E-mail address").fill(ada)
    person.presses("Send me the message")
    person.types_code(site.message(ada)["code"])

    expect(person.page).to_have_url(path("/members/"))


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(lambda code: f" {code[:3]} {code[3:]} ", id="with spaces"),
        pytest.param(lambda code: f"{code[:3]}-{code[3:]}", id="with a dash"),
        pytest.param(lambda code: "".join(chr(ord("０") + int(digit)) for digit in code), id="in full-width digits"),
    ],
)
def test_a_code_may_be_pasted_as_it_was_copied(site, person, typed):
    ada = address()
    person.asks(ada)
    person.code_field.focus()
    person.page.keyboard.insert_text(typed(site.message(ada)["code"]))
    person.page.keyboard.press("Enter")

    person.sees("account")


def test_a_code_of_letters_may_be_typed_in_small_ones(site, strict_site, people):
    ada = address()
    people().comes_signed_in(ada)
    site.forget_limits()
    person = people(strict_site)
    person.asks(ada)
    code = strict_site.message(ada)["code"]
    person.code_field.fill(f"{code[:4]}-{code[4:]}".lower())
    person.presses("Sign in")

    person.sees("account")


def test_a_wrong_code_costs_a_try_and_the_third_ends_it(site, person):
    ada = address()
    person.asks(ada)
    wrong = another_code(site.message(ada)["code"])
    person.types_code(wrong)
    expect(person.page.get_by_text("You have 2 tries left.")).to_be_visible()
    person.types_code(wrong)
    expect(person.page.get_by_text("You have 1 try left.")).to_be_visible()
    person.types_code(wrong)

    person.sees("error", "too_many_tries")
    person.is_signed_out()


def test_the_link_in_the_same_browser_goes_on_by_itself(site, person):
    ada = address()
    person.asks(ada)

    person.page.goto(site.message(ada)["link"])

    person.sees("account")
    person.is_signed_in_as(ada)


def test_the_link_leaves_no_token_in_the_address_bar(site, person):
    ada = address()
    person.asks(ada)
    link = site.message(ada)["link"]
    seen = []
    person.page.on("framenavigated", lambda frame: seen.append(frame.url))
    person.page.goto(link)
    person.sees("account")

    token = link.rstrip("/").rpartition("/")[2]
    assert len(token) > 43
    assert not [url for url in seen if token in url]
    assert token not in person.page.evaluate("document.referrer")


def test_the_waiting_tab_goes_on_when_the_link_is_opened_in_another(site, person):
    ada = address()
    waiting = person.asks(ada, next_url="/members/")
    opened = person.new_window()
    opened.goto(site.message(ada)["link"])
    expect(opened).to_have_url(path("/members/"))

    waiting.bring_to_front()
    expect(waiting).to_have_url(path("/members/"))


def test_a_link_in_another_browser_sends_its_reader_back_to_the_first_window(site, people):
    ada = address()
    asking, reading = people(), people()
    asking.asks(ada, next_url="/members/")
    message = site.message(ada)

    reading.page.goto(message["link"])
    reading.sees("link_elsewhere")
    expect(reading.page.get_by_text("Never read the code to anyone.")).to_be_visible()
    expect(reading.page.get_by_text(ada)).to_have_count(0)
    asking.types_code(message["code"])

    expect(asking.page).to_have_url(path("/members/"))
    asking.is_signed_in_as(ada)
    reading.is_signed_out()


def test_sign_in_here_instead_takes_the_whole_address(site, people):
    ada = address()
    asking, reading = people(), people()
    asking.asks(ada, next_url="/members/")
    reading.page.goto(site.message(ada)["link"])

    reading.presses("Sign in here instead")
    reading.sees("link_elsewhere")  # the browser itself asks for the field
    reading.page.get_by_label("Your complete e-mail address").fill(address("another"))
    reading.presses("Sign in here instead")
    reading.sees("link_elsewhere", "invalid_identifier")
    expect(reading.page.get_by_text("That is not the address")).to_be_visible()
    expect(reading.page.get_by_label("Your complete e-mail address")).to_be_focused()
    reading.page.get_by_label("Your complete e-mail address").fill(ada.upper())
    reading.presses("Sign in here instead")

    reading.sees("account")  # and not where the first window wanted to go
    reading.is_signed_in_as(ada)
    asking.is_signed_out()
    asking.sees("error", "spent")


def test_this_was_not_me_ends_the_sign_in_of_the_one_who_asked(site, people):
    ada = address()
    asking, reading = people(), people()
    asking.asks(ada)
    message = site.message(ada)
    reading.page.goto(message["link"])

    reading.page.get_by_label("Your complete e-mail address").fill(ada)
    reading.presses("This wasn’t me")

    reading.sees("denied")
    asking.sees("error", "superseded")  # its page finds out by itself
    asking.page.goto(message["link"])
    asking.sees("error", "superseded")
    asking.is_signed_out()


def test_a_closed_tab_loses_nothing(site, person):
    ada = address()
    person.asks(ada)
    person.page.close()
    person.new_window()

    person.opens("/login/wait/", "wait")
    expect(person.page.get_by_text(ada, exact=True)).to_be_visible()
    person.types_code(site.message(ada)["code"])

    person.sees("account")


def test_two_tabs_with_two_addresses_are_told_apart(site, person):
    ada, grace = address("ada"), address("grace")
    of_ada = person.asks(ada)
    of_grace = person.new_window()
    person.asks(grace)

    person.page = of_ada
    person.types_code(site.message(ada)["code"])
    person.sees("account")
    person.is_signed_in_as(ada)
    person.page = of_grace
    person.types_code(site.message(grace)["code"])
    # The page is older than the sign-in in the first tab, so its form no longer counts; it is shown anew.
    person.sees("error", "stale_page")
    person.is_signed_in_as(ada)
    person.follows("Show the page again")
    person.sees("wait")
    expect(person.page.get_by_text(grace, exact=True)).to_be_visible()
    person.types_code(site.message(grace)["code"])
    person.sees("account")
    person.is_signed_in_as(grace)


def test_another_address_can_be_typed_after_all(site, person):
    ada = address()
    person.asks(address("slip"), next_url="/members/")
    person.follows("Change the address")
    person.sees("login")
    person.page.get_by_label("E-mail address").fill(ada)
    person.presses("Send me the message")
    person.types_code(site.message(ada)["code"])

    expect(person.page).to_have_url(path("/members/"))
    person.is_signed_in_as(ada)


def test_a_stale_proof_is_renewed_and_leads_back(strict_site, site, people):
    ada = address()
    before = people()
    before.comes_signed_in(ada)
    site.age_session(before.session_key, 60)
    proved_at = before.session()["auth_time"]
    site.forget_limits()
    person = people(strict_site, storage_state=before.context.storage_state())
    person.opens("/login/step-up/?next=/members/", "step_up")
    person.presses("Send me the code")
    person.sees("wait")
    person.code_field.fill(site.message(ada, 2)["code"])
    person.presses("Confirm")

    expect(person.page).to_have_url(path("/members/"))
    assert person.session()["auth_time"] > proved_at
    before.is_signed_out()  # the key of the session has changed


def test_signing_out_everywhere_reaches_the_other_browser(people):
    ada = address()
    here, there = people(), people()
    here.comes_signed_in(ada)
    here.site.forget_limits()
    there.comes_signed_in(ada)
    here.opens("/account/sessions/", "sessions")
    here.presses("Sign out everywhere")
    here.sees("signed_out")

    here.is_signed_out()
    there.is_signed_out()
    there.opens("/account/")
    there.sees("login")


def test_one_other_session_can_be_ended(people):
    ada = address()
    here, there = people(), people()
    here.comes_signed_in(ada)
    here.site.forget_limits()
    there.comes_signed_in(ada)
    here.opens("/account/sessions/", "sessions")
    card = here.page.get_by_role("listitem").filter(has_not_text="This browser")
    card.get_by_role("button", name="End").click()
    expect(here.page.get_by_role("listitem")).to_have_count(1)

    here.is_signed_in_as(ada)
    there.is_signed_out()


def test_signing_out_by_a_link_asks_first(person):
    ada = address()
    person.comes_signed_in(ada)
    person.opens("/logout/", "logout_confirm")
    person.follows("Stay signed in")
    person.is_signed_in_as(ada)
    person.opens("/logout/", "logout_confirm")
    person.presses("Sign out")

    person.sees("signed_out")
    assert path_of(person.page) == "/logout/done/"
    person.is_signed_out()
