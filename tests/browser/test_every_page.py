"""Every page in every state: open to everyone, quiet, light, and whole at every width.

PASSWORDLESS_AUTH_SCREENSHOTS names a folder that then gets a picture of each.
"""

from dataclasses import dataclass, field
from itertools import product

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from passwordless_auth.exceptions import PasswordlessError

from . import pictures
from .people import DESKTOP, PHONE, Noticed
from .states import STATES, Stage, State

pytestmark = pytest.mark.browser

#: Every rule of axe, the experimental ones and good practice too, but those of WCAG's level AAA.
AXE = """async () => {
  const wanted = axe.getRules().filter(({ tags }) => !tags.includes("wcag2aaa") && !tags.includes("deprecated"));
  const rules = Object.fromEntries(wanted.map(({ ruleId }) => [ruleId, { enabled: true }]));
  const found = await axe.run({ rules, resultTypes: ["violations"] });
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}"""

#: Where axe looks: both widths and both schemes once. Colors don't depend on the width.
ASKED = {("phone", "dark"), ("desktop", "light")}

#: What sticks out of the window sideways; nothing may, down to 320 pixels (WCAG 1.4.10).
STICKS_OUT = """() => [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .filter((element) => !element.closest(".pa-hidden, .ex-skip, pre"))
  .map((element) => element.outerHTML.slice(0, 200))"""

#: Bytes of one page: its document, styles and scripts. The inbox of the example, which no person in earnest ever sees,
#: carries whole messages.
HEAVIEST = 30_000
HEAVIEST_INBOX = 45_000


@dataclass
class Look:
    """What was found while one state was on screen."""

    state: State
    noticed: Noticed
    axe: dict[str, list[str]] = field(default_factory=dict)
    sticks_out: list[str] = field(default_factory=list)
    weight: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module", params=STATES, ids=str)
def look(request, chromium, site, strict_site):
    state = request.param
    stage = Stage(chromium, site, strict_site, state.german, [])
    site.forget_limits()
    try:
        person = state.go(stage)
        if state.page:
            person.sees(state.page, state.code)
        person.page.wait_for_load_state()
        seen = Look(state, person.noticed, weight=person.noticed.weight())
        for (width, viewport), scheme in product({"phone": PHONE, "desktop": DESKTOP}.items(), ("light", "dark")):
            person.page.set_viewport_size(viewport)
            person.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            pictures.take(person.page, f"{state}-{width}-{scheme}")
            if (width, scheme) in ASKED:
                seen.axe[f"{width}, {scheme}"] = run_axe(person.page)
        person.page.set_viewport_size({"width": 320, "height": 640})
        seen.sticks_out = person.page.evaluate(STICKS_OUT)
        yield seen
    finally:
        for person in stage.people:
            person.close()


def run_axe(page: Page) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(AXE)


def test_axe_finds_nothing(look):
    assert not any(look.axe.values()), look.axe


def test_the_console_is_silent(look):
    """Errors and warnings are written there, and each violation of the Content-Security-Policy."""
    assert look.noticed.console == []


def test_no_other_host_hears_of_it(look):
    assert look.noticed.elsewhere == []


def test_the_page_is_light(look):
    heaviest = HEAVIEST_INBOX if look.state.name.startswith("example_inbox") else HEAVIEST

    assert sum(look.weight.values()) <= heaviest, look.weight


def test_nothing_sticks_out_of_a_narrow_window(look):
    assert look.sticks_out == []


#: Refusals that only scripts get, as JSON; the page's own words stay, with the detail as an alert.
FOR_SCRIPTS = {"credential_blocked", "invalid_body", "invalid_credential"}


def test_every_refusal_has_a_state_here():
    codes = {refusal.code for refusal in _kinds(PasswordlessError)}

    assert codes - FOR_SCRIPTS == {state.code for state in STATES} - {""}


def _kinds(kind: type) -> set[type]:
    return {kind_ for sub in kind.__subclasses__() for kind_ in ({sub} | _kinds(sub))}
