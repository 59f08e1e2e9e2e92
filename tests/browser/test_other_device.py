"""A second device by QR code, in a second browser: each has an authenticator of its own."""

import base64

import pytest
import segno
from playwright.sync_api import expect

from . import pictures
from .authenticators import VirtualAuthenticator
from .people import PHONE, path
from .site import address
from .states import IPHONE

pytestmark = pytest.mark.browser

FIRST = "/account/passkeys/other-device/"


def with_passkey(person, ada):
    """Sign up, add a passkey on this device, and sign in again with it. Returns the authenticator."""
    person.comes_signed_in(ada)
    device = VirtualAuthenticator(person.page)
    person.opens("/account/passkeys/", "passkeys")
    person.presses("Add a passkey")
    expect(person.page.get_by_text("The passkey was added")).to_be_visible()
    device.looks_away()
    person.opens("/logout/", "logout_confirm")
    person.presses("Sign out")
    person.sees("signed_out")
    device.answers()
    person.opens("/login/")
    person.page.wait_for_url(lambda url: "/login/" not in url)  # offered in the field, and answered at once
    person.is_signed_in_as(ada)
    return device


@pytest.fixture
def ada(person):
    ada = address()
    with_passkey(person, ada)
    return ada


@pytest.fixture
def phone(people):
    return people(user_agent=IPHONE, viewport=PHONE, device_scale_factor=3)


def shows_code(person):
    person.opens("/account/passkeys/", "passkeys")
    person.follows("Add a passkey on another device")
    person.sees("other_device")
    person.presses("Show the code")
    return person.page.get_by_label("Or open this link there").input_value()


def test_a_phone_gets_a_passkey_and_signs_in_with_it(person, phone, ada):
    link = shows_code(person)
    pictures.take(person.page, "other_device_shown")
    device = VirtualAuthenticator(phone.page)
    phone.opens(link, "enrol")
    expect(phone.page).to_have_url(path("/enrol/"))
    pictures.take(phone.page, "enrol_shown")
    phone.presses("Add this device")
    number = phone.page.locator(".pa-number").inner_text()
    pictures.take(phone.page, "enrol_claimed")

    # The first page goes on by itself.
    expect(person.page.get_by_text("Safari on iPhone")).to_be_visible()
    pictures.take(person.page, "other_device_claimed")
    person.page.get_by_label("The number on the other device").fill(number)
    person.presses("Let this device in")
    pictures.take(person.page, "other_device_approved")

    # So does the phone.
    phone.presses("Add a passkey on this device")
    expect(phone.page.get_by_text("This device can sign in now")).to_be_visible()
    expect(person.page.get_by_text("The passkey was added")).to_be_visible()
    pictures.take(phone.page, "enrol_added")
    pictures.take(person.page, "other_device_added")
    assert len(device.credentials()) == 1
    phone.is_signed_out()
    phone.presses("Sign in with the passkey")
    phone.page.wait_for_url(lambda url: "/enrol/" not in url)
    phone.is_signed_in_as(ada)
    assert person.site.message(ada, about="A passkey was added")
    assert person.site.message(ada, about="New sign-in")


#: Reads the lightness of a picture, 0 to 255, at points that are given as parts of its sides.
READ = """async ([picture, points]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return points.map(([x, y]) => context.getImageData(x * image.width, y * image.height, 1, 1).data[1]);
}"""

#: Modules of a side, the quiet zone of four included.
SIDE = 49


def test_the_picture_is_the_link_in_light_and_in_dark(person, ada):
    """As a camera sees it: the color in the middle of each module, and white all around."""
    link = shows_code(person)
    modules = drawn(link)
    assert len(modules) == SIDE - 8
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme)
        picture = base64.b64encode(person.page.locator(".pa-qr").screenshot()).decode()
        pictures.take(person.page, f"other_device_shown_{scheme}")
        middles = [((x + 0.5) / SIDE, (y + 0.5) / SIDE) for y in range(4, SIDE - 4) for x in range(4, SIDE - 4)]
        quiet = [((x + 0.5) / SIDE, (y + 0.5) / SIDE) for x in range(2, SIDE - 2) for y in (2, SIDE - 3)]

        seen = person.page.evaluate(READ, [picture, middles + quiet])

        assert [light < 128 for light in seen[: len(middles)]] == [dark for row in modules for dark in row], scheme
        assert set(seen[len(middles) :]) == {255}, scheme


def drawn(link):
    return [[bool(module) for module in row] for row in segno.make(link, error="m", micro=False).matrix]


def test_the_link_can_be_copied(person, ada):
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = shows_code(person)

    person.presses("Copy the link")

    expect(person.page.get_by_role("button", name="Copied")).to_be_visible()
    assert person.page.evaluate("navigator.clipboard.readText()") == link


def test_not_mine_stops_the_other_one_at_once(person, phone, ada):
    link = shows_code(person)
    phone.opens(link, "enrol")
    phone.presses("Add this device")

    person.presses("Not mine")

    expect(person.page.get_by_text("It was stopped")).to_be_visible()
    phone.sees("error", "superseded")


def test_a_wrong_number_can_be_corrected(person, phone, ada):
    phone.opens(shows_code(person), "enrol")
    phone.presses("Add this device")
    number = phone.page.locator(".pa-number").inner_text()
    field = person.page.get_by_label("The number on the other device")
    expect(field).to_be_focused()

    field.fill(f"{(int(number) + 1) % 1000:03}")
    person.page.keyboard.press("Enter")
    expect(person.page.get_by_text("That is not the number")).to_be_visible()
    expect(person.page.get_by_text("You have 2 tries")).to_be_visible()
    pictures.take(person.page, "other_device_wrong_number")
    field.fill(number)
    person.page.keyboard.press("Enter")

    expect(phone.page.get_by_role("button", name="Add a passkey on this device")).to_be_visible()


def test_a_person_who_closes_the_dialog_can_try_again(person, phone, ada):
    device = VirtualAuthenticator(phone.page)
    phone.opens(shows_code(person), "enrol")
    phone.presses("Add this device")
    number = phone.page.locator(".pa-number").inner_text()
    person.page.get_by_label("The number on the other device").fill(number)
    person.presses("Let this device in")
    device.recognises(False)
    phone.presses("Add a passkey on this device")
    expect(phone.page.locator("[data-passkey-said]")).not_to_be_empty()

    device.recognises()
    phone.presses("Add a passkey on this device")

    expect(phone.page.get_by_text("This device can sign in now")).to_be_visible()


def test_a_third_browser_finds_it_taken(person, phone, people, ada):
    link = shows_code(person)
    phone.opens(link, "enrol")
    phone.presses("Add this device")

    other = people()
    other.opens(link, "error")

    other.sees("error", "spent")
    pictures.take(other.page, "enrol_taken")


def test_it_can_be_done_without_javascript_but_for_the_passkey_itself(people, phone, person, ada):
    without = people(java_script_enabled=False, storage_state=person.context.storage_state())
    without.opens(FIRST, "other_device")
    without.presses("Show the code")
    link = without.page.get_by_label("Or open this link there").get_attribute("value")
    phone.opens(link, "enrol")
    phone.presses("Add this device")
    number = phone.page.locator(".pa-number").inner_text()

    without.follows("I have scanned it: go on")
    without.page.get_by_label("The number on the other device").fill(number)
    without.presses("Let this device in")

    expect(phone.page.get_by_role("button", name="Add a passkey on this device")).to_be_visible()
