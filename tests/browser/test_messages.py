"""The HTML part of each kind of message, as a mail program shows it: without scripts, and nothing fetched."""

from itertools import product

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from . import pictures
from .people import DESKTOP, PHONE, Person
from .site import address

pytestmark = pytest.mark.browser

#: The rules of WCAG; axe's good practice (landmarks, one main part) is for pages.
AXE = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const found = await axe.run({ runOnly: { type: "tag", values: tags } });
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}"""


def asked_for(person: Person, to: str) -> dict[str, str]:
    person.asks(to)
    return person.site.message(to)


def confirming(people, site, strict_site) -> dict[str, str]:
    ada = address()
    person = people()
    person.comes_signed_in(ada)
    site.forget_limits()
    site.age_session(person.session_key, 60)
    person = people(strict_site, storage_state=person.context.storage_state())
    person.opens("/login/step-up/", "step_up")
    person.presses("Send me the code")
    return site.message(ada, 2)


MESSAGES = {
    "sign_in": lambda people, site, strict: asked_for(people(), "ada@example.com"),
    "sign_in_in_german": lambda people, site, strict: asked_for(people(locale="de-DE"), address()),
    "step_up": confirming,
    "no_account": lambda people, site, strict: asked_for(people(strict), address("nobody")),
    "disabled": lambda people, site, strict: asked_for(people(), "closed@example.com"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_can_be_read_by_everyone_and_fetches_nothing(kind, people, site, strict_site):
    site.forget_limits()
    message = MESSAGES[kind](people, site, strict_site)
    reader = people()
    reader.page.set_content(message["html"])
    reader.page.evaluate(AXE_SCRIPT)
    for (width, viewport), scheme in product({"phone": PHONE, "desktop": DESKTOP}.items(), ("light", "dark")):
        reader.page.set_viewport_size(viewport)
        reader.page.emulate_media(color_scheme=scheme)
        pictures.take(reader.page, f"message_{kind}-{width}-{scheme}")

        assert reader.page.evaluate(AXE) == []

    assert reader.page.locator("img, script, link, iframe").count() == 0
    if message["code"]:
        assert "".join(reader.page.locator(".code").inner_text().split()).replace("-", "") == message["code"]
