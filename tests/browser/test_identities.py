"""Adding an address, removing it and getting it back, linking two accounts: with the inbox of the example open beside."""

import pytest
from playwright.sync_api import expect

from . import pictures
from .people import PHONE, path
from .site import address
from .states import IPHONE

pytestmark = pytest.mark.browser

PAGE = "/account/identities/"


def asks_to_add(person, added):
    person.opens(PAGE, "identities")
    person.page.get_by_label("E-mail address").fill(added)
    person.presses("Send me the message")
    person.sees("wait")


def adds(person, site, added):
    asks_to_add(person, added)
    person.types_code(site.message(added)["code"])
    person.sees("identities")


def test_an_address_is_added_signs_in_and_is_removed(person, people, site):
    ada, work = address(), address("work")
    person.signs_in(ada)
    adds(person, site, work)
    expect(person.page.get_by_role("status")).to_contain_text("The address was added")
    assert "An address was added" in site.message(ada, 2)["subject"]
    site.forget_limits()

    phone = people(user_agent=IPHONE, viewport=PHONE)
    phone.asks(work)
    phone.types_code(site.message(work)["code"])
    phone.sees("account")
    phone.is_signed_in_as(ada)
    assert "New sign-in" in site.message(ada, 3)["subject"]

    person.opens(PAGE, "identities")
    person.page.get_by_role("link", name="Change").nth(1).click()
    pictures.take(person.page, "identity_change")
    person.presses("Remove it")
    expect(person.page.get_by_role("status")).to_contain_text("The address was removed")
    expect(person.page.get_by_text(work)).to_have_count(0)
    assert "An address was removed" in site.message(work, about="removed")["subject"]
    assert person.noticed.console == []


def test_its_link_goes_on_by_itself_in_the_browser_that_asked(person, site):
    ada, work = address(), address("work")
    person.signs_in(ada)
    asks_to_add(person, work)

    person.opens(site.message(work)["link"])

    expect(person.page).to_have_url(path(PAGE))
    expect(person.page.get_by_role("status")).to_contain_text("The address was added")


def test_the_waiting_tab_goes_on_when_the_link_is_opened_in_another(person, site):
    ada, work = address(), address("work")
    person.signs_in(ada)
    asks_to_add(person, work)
    waiting = person.page
    person.new_window()
    person.opens(site.message(work)["link"])

    expect(waiting).to_have_url(path(PAGE), timeout=20_000)


def test_one_press_takes_back_what_a_thief_has_added(person, people, site):
    ada, work = address(), address("work")
    person.signs_in(ada)
    adds(person, site, work)
    phone = people(user_agent=IPHONE, viewport=PHONE)
    phone.opens(site.message(ada, about="An address was added")["link"], "report")

    phone.presses("This wasn’t me")

    expect(phone.page.get_by_role("heading", name="Changes are stopped")).to_be_visible()
    person.is_signed_out()


def test_two_accounts_are_linked_and_separated(person, people, site):
    ada, work = address(), address("work")
    phone = people(user_agent=IPHONE, viewport=PHONE)
    phone.signs_in(work)
    site.forget_limits()
    person.signs_in(ada)
    asks_to_add(person, work)
    person.types_code(site.message(work, about="adds this address")["code"])
    expect(person.page.get_by_role("heading", name="This address has an account of its own")).to_be_visible()

    person.presses("Link the accounts")

    expect(person.page.get_by_role("status")).to_contain_text("The accounts are linked")
    for told in (ada, work):
        assert site.message(told, about="were linked")
    phone.is_signed_out()
    site.forget_limits()
    phone.asks(work)
    phone.types_code(site.message(work, about="sign")["code"])
    phone.sees("account")
    phone.is_signed_in_as(ada)

    person.opens(PAGE, "identities")
    person.page.get_by_role("link", name="Change").nth(1).click()
    person.presses("Separate the accounts")
    expect(person.page.get_by_role("status")).to_contain_text("The accounts are separate again")
    assert person.noticed.console == []


def test_without_scripts_an_address_is_added_and_removed(people, site):
    person = people(java_script_enabled=False)
    ada, work = address(), address("work")
    person.signs_in(ada)
    adds(person, site, work)
    person.page.get_by_role("link", name="Change").nth(1).click()
    person.presses("Remove it")

    expect(person.page.get_by_text("The address was removed")).to_be_visible()
