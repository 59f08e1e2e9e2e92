"""People at browsers: what they do, and what can be noticed while they do it."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response, WebError, expect

from .site import Site

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}

# Other lanes may keep the machine busy.
expect.set_options(timeout=15_000)

#: The signs of a page that has failed to load something, among what Chromium writes to the console.
_FAILED = "Failed to load resource"
#: What scripts of ours ask, and may well be refused.
_ASKED = re.compile(r"/(passkey|passkeys)/(options|verify|register)/")


#: Whether the form of the code says by now what the browser can do.
OFFER_IS_TOLD = """() => {
  const form = document.querySelector("form[data-passkey-offer]");
  return !form || form.dataset.passkeyOffer === "told";
}"""


@dataclass
class Noticed:
    """What a browser did that no page of ours should make it do, and what the page on screen weighs."""

    console: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    loaded: list[Response] = field(default_factory=list)

    def weight(self) -> dict[str, int]:
        """Bytes of the document, styles and scripts of the page on screen, as they came over the wire."""
        return {
            f"{response.request.resource_type} {urlsplit(response.url).path}": len(response.body())
            for response in self.loaded
        }


class Person:
    """One browser profile, with its own cookies, and the window that was opened last.

    Whatever a page asks of another host is noted; the browser resolves no name but localhost.
    """

    def __init__(self, chromium: Browser, site: Site, **options: object) -> None:
        self.runs_scripts = options.get("java_script_enabled", True)
        self.site = site
        self.noticed = Noticed()
        settings = {
            "base_url": site.url,
            "viewport": DESKTOP,
            "locale": "en-GB",
            "timezone_id": "Europe/Berlin",
        } | options
        # Requests without a page don't say the language of the context: an account would be made in another one.
        settings["extra_http_headers"] = {"Accept-Language": settings["locale"]}
        self.context = chromium.new_context(**settings)
        self.context.set_default_timeout(20_000)
        self.context.on("request", self._asked)
        self.context.on("console", self._heard)
        self.context.on("weberror", self._failed)
        self.context.on("response", self._loaded)
        self.page = self.context.new_page()

    def close(self) -> None:
        self.context.close()

    # -- what is noticed

    def _asked(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"about", "data"} and url.hostname != "localhost":
            self.noticed.elsewhere.append(request.url)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if message.text.startswith(_FAILED) and message.page and message.location["url"] == message.page.url:
            return  # the page itself, which may well be one that says no
        if message.text.startswith(_FAILED) and _ASKED.search(message.location["url"]):
            return
        self.noticed.console.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _failed(self, error: WebError) -> None:
        self.noticed.console.append(f"uncaught: {error.error}")

    def _loaded(self, response: Response) -> None:
        request = response.request
        if request.resource_type == "document" and request.frame.parent_frame is None:
            self.noticed.loaded.clear()
        if request.resource_type in {"document", "stylesheet", "script"} and not 300 <= response.status < 400:
            self.noticed.loaded.append(response)

    # -- what they do

    def forgets_files(self) -> None:
        """Load every file anew from here on, to see all that a page needs."""
        self.context.new_cdp_session(self.page).send("Network.setCacheDisabled", {"cacheDisabled": True})

    def new_window(self) -> Page:
        self.page = self.context.new_page()
        return self.page

    def opens(self, url: str, page: str = "", **options: object) -> Page:
        """Open a page, of which ``page`` is the hook."""
        self.page.goto(url, **options)
        if page:
            self.sees(page)
        return self.page

    def sees(self, page: str, code: str | None = None) -> None:
        expect(self.page.locator("body")).to_have_attribute("data-page", page)
        if code:
            expect(self.page.locator("body")).to_have_attribute("data-code", code)

    def presses(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follows(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    def asks(self, address: str, *, next_url: str = "") -> Page:
        """Type an address at the sign-in page, and wait for its message."""
        self.opens(f"/login/?next={next_url}" if next_url else "/login/", "login")
        before = len(self.site.messages(address))
        self.page.locator("#identifier").fill(address)
        self.page.locator("main form button").click()
        self.sees("wait")
        self.site.message(address, before + 1)
        return self.page

    def types_code(self, code: str) -> None:
        self.code_field.fill(code)
        if self.runs_scripts:  # a person needs longer to type than the browser to say whether it makes passkeys
            self.page.wait_for_function(OFFER_IS_TOLD)
        self.page.locator("form:has(#code) button").click()

    @property
    def code_field(self) -> Locator:
        return self.page.locator("#code")

    def signs_in(self, address: str, *, next_url: str = "") -> Page:
        self.asks(address, next_url=next_url)
        self.types_code(self.site.message(address)["code"])
        if not next_url:
            self.sees("account")
        self.is_signed_in_as(address)
        return self.page

    def comes_signed_in(self, address: str) -> None:
        """Signed in before the story begins: by the requests that the pages would make, with none of them drawn."""
        before = len(self.site.messages(address))
        assert self.context.request.get("/login/").ok
        self._sends("/login/", identifier=address)
        self._sends("/login/wait/", code=self.site.message(address, before + 1)["code"])
        self.is_signed_in_as(address)

    def _sends(self, path: str, **fields: str) -> None:
        """As a form of our pages does."""
        (token,) = [cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "csrftoken"]
        form = {"csrfmiddlewaretoken": token, **fields}
        response = self.context.request.post(path, form=form, max_redirects=0)
        assert response.status == 303, response.text()

    def is_signed_in_as(self, address: str) -> None:
        who = self.session()
        assert who["authenticated"], who
        assert who["user"]["email"] == address

    def is_signed_out(self) -> None:
        assert not self.session()["authenticated"]

    def session(self) -> dict:
        return self.context.request.get("/login/session.json").json()

    @property
    def session_key(self) -> str:
        (cookie,) = [cookie for cookie in self.context.cookies() if cookie["name"] == "sessionid"]
        return cookie["value"]


def another_code(code: str) -> str:
    """A code as long, of the same alphabet, and wrong."""
    first, second = "01" if code.isdigit() else "BC"
    return (second if code[0] == first else first) + code[1:]


def path_of(page: Page) -> str:
    return urlsplit(page.url).path


def path(pattern: str) -> re.Pattern:
    """Matches a URL by its path."""
    return re.compile(rf"^https?://[^/]+{pattern}(\?.*)?$")
