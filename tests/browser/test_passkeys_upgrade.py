"""A passkey that the browser makes by itself after a password.

The password manager of a real browser decides whether it makes one, by what it keeps; Chromium without a profile keeps
nothing, and waits. So the last step is made without ``mediation``: the virtual authenticator answers it.
"""

import pytest
from playwright.sync_api import expect

from .authenticators import VirtualAuthenticator
from .site import Site

pytestmark = pytest.mark.browser

AGREES = """
const create = CredentialsContainer.prototype.create;
CredentialsContainer.prototype.create = function ({ mediation, ...rest }) {
  globalThis.askedWith = mediation;
  return create.call(this, rest);
};
document.addEventListener("passkey-added", ({ detail }) => { globalThis.added = detail; });
"""
UNABLE = "PublicKeyCredential.getClientCapabilities = async () => ({ conditionalCreate: false });"


@pytest.fixture(scope="module")
def password_site(tmp_path_factory):
    module = "tests.browser.password_host.settings"
    with Site(tmp_path_factory.mktemp("passwords"), DJANGO_SETTINGS_MODULE=module) as running:
        yield running


def test_right_after_the_password_a_passkey_is_there(people, password_site):
    person = people(password_site)
    device = VirtualAuthenticator(person.page)
    person.context.add_init_script(AGREES)
    person.opens("/password/")
    person.presses("Log in")

    expect(person.page.get_by_role("heading", name="Welcome")).to_be_visible()
    person.page.wait_for_function("globalThis.added")
    assert person.page.evaluate("globalThis.askedWith") == "conditional"
    (credential,) = device.credentials()
    assert credential["userName"] == "grace@example.org"

    # It is a passkey like any other; and who has one gets no other.
    person.context.clear_cookies()
    person.opens("/login/")
    person.sees("account")
    assert person.session()["level"] == "phr"


def test_a_browser_that_cannot_is_not_asked(people, password_site):
    person = people(password_site)
    person.context.add_init_script(UNABLE)
    asked = []
    person.page.on("request", lambda request: asked.append(request.url))
    person.opens("/welcome/")
    person.page.wait_for_load_state("networkidle")

    assert any(url.endswith("passkey-upgrade.js") for url in asked)
    assert not any("options" in url for url in asked)


def test_who_did_not_sign_in_with_a_password_gets_none(people, password_site):
    person = people(password_site)
    device = VirtualAuthenticator(person.page)
    person.context.add_init_script(AGREES)
    with person.page.expect_response("**/account/passkeys/options/**") as answer:
        person.opens("/welcome/")

    assert answer.value.status == 403
    assert device.credentials() == []
