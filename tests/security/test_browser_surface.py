"""What a browser is told and sent: where to go, who may post, what a page may load (WB)."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from django.core import mail
from django.urls import get_resolver, reverse

from passwordless_auth.flows import login_link
from passwordless_auth.models import Challenge, SignIn
from passwordless_auth.testing import outbox
from tests import passkeys
from tests.conftest import Browser

from .conftest import guess, link_of, member, newest, open_link, page, press, stranger, wrong_code

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture(autouse=True)
def no_limits(settings):
    """What is not the subject here."""
    for name in (
        "SENDS_PER_ADDRESS",
        "SENDS_PER_KNOWN_BROWSER",
        "STARTS_PER_IP",
        "FAILURES_PER_IP",
        "FAILURES_PER_ACCOUNT",
    ):
        setattr(settings, f"PASSWORDLESS_AUTH_LIMIT_{name}", "")


# -- WB-01: where to go next

BAD_NEXT = [
    "https://evil.example/",
    "http://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "\\/evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "\t//evil.example/",
    " //evil.example/",
    "\x00//evil.example/",
    "\x1f//evil.example/",
    "\u00a0//evil.example/",
    "\u2028//evil.example/",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "HTTPS://EVIL.EXAMPLE",
    "hTTp:evil.example",
    "http://testserver@evil.example/",
    "http://testserver:80@evil.example/",
    "http://evil.example\\@testserver/",
    "http://evil.example#@testserver/",
    "http://evil.example?testserver/",
    "http://testserver.evil.example/",
    "http://eviltestserver/",
    "http://testserver:8443/",
    "http://testserver\\.evil.example/",
    "http://[::1]/",
    "http://127.0.0.1/",
    "http://localhost/",
    "http://evil\u3002example/",
    "http://ev\uff49l.example/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "ftp://testserver/",
    "ws://testserver/",
    "mailto:ada@example.com",
    "view-source:http://testserver/",
    "http://",
    "http:",
    "/" + "a" * 3000,
    "http://testserver\x00.evil.example/",
    "/ok\r\nSet-Cookie: a=b",
]
GOOD_NEXT = [
    "/members/?tab=2#top",
    "/members/",
    "/open/?to=//evil.example/",
    "/open/?to=https://evil.example/",
    "http://testserver/members/",
    "http://testserver/members/?a=%2F%2Fevil.example",
    "/@evil.example/",
    "/m%C3%BCller/",
    "/\u00fcber/",
]


def stays(url, base="http://testserver/login/wait/"):
    """Whether a browser that is sent there stays on this site; by the WHATWG URL Standard's leniency."""
    url = re.sub("[\t\r\n]", "", url).strip("".join(map(chr, range(33)))).replace("\\", "/")
    while url.startswith("///"):
        url = url[1:]
    # "https:host" and "https:/host" are absolute for a browser, when the scheme differs from the page's.
    special = re.match(r"(https?|ftp|wss?):/*", url, re.IGNORECASE)
    if special:
        url = f"{special[1]}://{url[special.end() :]}"
    target = urlsplit(urljoin(base, url))
    return (target.scheme, target.netloc) == urlsplit(base)[:2]


def hrefs(response):
    class Links(HTMLParser):
        found = []

        def handle_starttag(self, tag, attrs):
            self.found += [value or "" for name, value in attrs if name in {"href", "action", "formaction", "src"}]
            attributes = dict(attrs)
            if tag == "input" and attributes.get("name") == "next":
                self.found.append(attributes["value"])

    parser = Links()
    parser.found = []
    parser.feed(response.content.decode())
    return parser.found


def assert_stays(answer):
    location = answer.headers.get("Location", "/")
    assert stays(location), location
    assert "evil" not in location
    for url in hrefs(answer) if answer.headers.get("Content-Type", "").startswith("text/html") else ():
        assert stays(url), url


def test_the_measure_knows_what_leaves():
    """WB-01: what the tests below go by."""
    assert all(map(stays, ["", *GOOD_NEXT]))
    leaving = [url for url in BAD_NEXT if not stays(url)]
    assert len(leaving) >= 32


@pytest.mark.parametrize("bad", BAD_NEXT)
def test_no_next_leads_away_from_this_site(bad):
    """WB-01: at the start, at the end, when already signed in, on the way out, and in every link between."""
    home = reverse("passwordless_auth:account")
    browser = Browser()
    browser.get("/login/", {"next": bad})
    answers = [browser.get("/login/", {"next": bad}), browser.start("not an address", next=bad)]

    started = browser.start(next=bad)
    answers += [started, browser.get(started["Location"]), browser.get("/login/wait/", {"next": bad})]
    answers += [guess(browser, "1", next=bad), guess(browser, wrong_code(), next=bad)]
    finished = guess(browser, newest().code(), next=bad)
    assert (finished.status_code, finished["Location"]) == (303, home)
    answers += [finished, browser.get(started["Location"]), guess(browser, "123456", next=bad)]
    assert browser.get("/login/wait/status.json").json()["next"] == home

    answers += [browser.get("/login/", {"next": bad}), browser.post("/login/", {"next": bad})]
    answers += [browser.get("/login/step-up/", {"next": bad}), browser.get("/logout/", {"next": bad})]
    left = browser.submit("/logout/", {"next": bad})
    assert left["Location"] == reverse("passwordless_auth:signed_out")
    answers.append(left)

    browser.start("bob@example.com", next=bad)
    open_link(browser, "bob@example.com")
    answers.append(press(browser, "bob@example.com", next=bad))
    assert answers[-1]["Location"] == home
    answers.append(browser.submit(f"/logout/?next={bad}"[:2000].replace("\n", "%0A").replace("\r", "%0D")))
    for answer in answers:
        assert_stays(answer)


@pytest.mark.parametrize("bad", [url for url in BAD_NEXT if len(url) < 2000 and "\x00" not in url])
def test_a_next_that_got_stored_is_asked_again_where_it_is_used(bad):
    """WB-01: rows may be older than a rule, and BASE_URL may change."""
    browser = Browser()
    browser.start()
    Challenge.objects.update(next_url=bad)
    assert_stays(browser.get("/login/wait/"))
    assert_stays(guess(browser, wrong_code()))

    assert guess(browser, newest().code())["Location"] == reverse("passwordless_auth:account")
    assert_stays(browser.get("/login/wait/"))
    assert_stays(guess(browser, newest().code()))
    assert browser.get("/login/wait/status.json").json()["next"] == reverse("passwordless_auth:account")


@pytest.mark.parametrize("good", GOOD_NEXT)
def test_a_next_of_this_site_is_followed(good):
    """WB-01, the twin"""
    browser = Browser()
    started = browser.start(next=good)
    finished = guess(browser, newest().code())
    assert urljoin("http://testserver", finished["Location"]).startswith("http://testserver/")
    assert finished.status_code == 303
    assert finished["Location"] != reverse("passwordless_auth:account")
    assert browser.get(started["Location"])["Location"] == finished["Location"]
    assert good in hrefs(browser.get("/login/", {"next": good}))
    assert browser.submit("/logout/", {"next": good})["Location"] == finished["Location"]


def test_on_https_next_does_not_go_back_to_http(settings):
    """WB-01"""
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://testserver"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_TEST", "https")
    for url, wanted in (("http://testserver/members/", "/account/"), ("https://testserver/members/", None)):
        browser = Browser()
        browser.start(next=url)
        assert guess(browser, newest().code())["Location"] == (wanted or url)
        Challenge.objects.all().delete()


def test_a_page_for_members_brings_the_visitor_back(browser):
    """WB-01, the twin"""
    sent = browser.get("/members/?a=1")
    assert sent["Location"] == "/login/?next=/members/%3Fa%3D1"
    form = browser.get(sent["Location"])
    browser.start(next=next(url for url in hrefs(form) if url.startswith("/members/")))
    assert guess(browser, newest().code())["Location"] == "/members/?a=1"


# -- WB-02: who the site is

FORGED = [
    {"HTTP_HOST": "evil.example"},
    {"HTTP_HOST": "evil.example:80"},
    {"HTTP_HOST": "testserver:4711"},
    {"SERVER_NAME": "evil.example"},
    {"HTTP_X_FORWARDED_HOST": "evil.example"},
    {"HTTP_X_FORWARDED_SERVER": "evil.example"},
    {"HTTP_X_HOST": "evil.example"},
    {"HTTP_X_ORIGINAL_URL": "/evil.example/"},
    {"HTTP_FORWARDED": "host=evil.example;proto=https"},
    {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_PORT": "4711"},
    {"SCRIPT_NAME": "//evil.example"},
    {"HTTP_X_SCRIPT_NAME": "//evil.example"},
    {"HTTP_REFERER": "https://evil.example/login/"},
]


def urls_in(message):
    return re.findall(r"""\w+://[^\s"'<>]+""", message.body + message.alternatives[0].content)


@pytest.mark.parametrize("trusting", [False, True])
@pytest.mark.parametrize("headers", FORGED)
def test_links_in_messages_go_to_the_configured_site(settings, headers, trusting):
    """WB-02: or the request is refused. ``trusting``: a host that allows any Host and believes its proxy."""
    if trusting:
        settings.ALLOWED_HOSTS = ["*"]
        settings.USE_X_FORWARDED_HOST = settings.USE_X_FORWARDED_PORT = True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    browser = Browser()
    browser.get("/login/")
    answer = browser.submit("/login/", {"identifier": ADA}, **headers)
    if answer.status_code != 303:
        assert answer.status_code in {400, 403}
        assert Challenge.objects.count() == 0
        return
    assert "evil" not in answer["Location"].replace("//evil.example/login", "")
    outbox.send_queued()
    (message,) = mail.outbox

    assert f"http://testserver/login/link/{newest().link_token()}/" in urls_in(message)
    assert {urlsplit(url).netloc for url in urls_in(message)} <= {"testserver", "www.w3.org"}
    assert "evil" not in str(message.message())
    shown = browser.get("/login/wait/", **headers)
    assert "evil.example" not in shown.content.decode().replace('"//evil.example/', "")


def test_an_administrators_link_goes_to_the_configured_site(settings):
    """WB-02"""
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://accounts.example.com"
    assert login_link.make(member(), reason="a test").startswith("https://accounts.example.com/login/link/")


# -- WB-03: who may post


def ready(door):
    """A browser at the brink of a change, with what it would post; and how to see whether the change was made."""
    browser = Browser()
    if door == "start":
        return browser, "/login/", {"identifier": ADA}, lambda: Challenge.objects.exists()
    browser.start()
    named = {"challenge": newest().public_id}
    if door == "code":
        return browser, "/login/wait/", {**named, "code": newest().code()}, lambda: SignIn.objects.exists()
    if door == "wrong code":
        return browser, "/login/wait/", {**named, "code": wrong_code()}, lambda: newest().tries > 0
    if door == "send again":
        return browser, "/login/resend/", named, lambda: newest().deliveries.count() > 1
    if door in {"link", "deny"}:
        open_link(browser)
        body = {**named, "action": "sign_in" if door == "link" else "deny"}
        return browser, "/login/link/", body, lambda: newest().state != "open"
    if door in {"link elsewhere", "deny elsewhere"}:
        browser = stranger()
        open_link(browser)
        body = {**named, "action": door.split()[0].replace("link", "sign_in"), "identifier": ADA}
        return browser, "/login/link/", body, lambda: newest().state != "open"
    guess(browser, newest().code())
    if door == "step-up":
        return browser, "/login/step-up/", {}, lambda: newest().purpose == "step_up"
    live = SignIn.objects.live
    if door == "sign out":
        return browser, "/logout/", {}, lambda: not live().exists()
    other = stranger()
    other.start()
    guess(other, newest().code())
    body = {"end one": {"sign_in": live().latest("pk").public_id}, "end others": {"scope": "others"}}
    return browser, "/account/sessions/", body.get(door, {"scope": "everywhere"}), lambda: live().count() < 2


DOORS = [
    "start",
    "code",
    "wrong code",
    "send again",
    "link",
    "deny",
    "link elsewhere",
    "deny elsewhere",
    "step-up",
    "sign out",
    "end one",
    "end others",
    "end all",
]
FOREIGN = {
    "no token": {"token": ""},
    "made up token": {"token": "a" * 64},
    "evil origin": {"HTTP_ORIGIN": "https://evil.example"},
    "origin null": {"HTTP_ORIGIN": "null"},
    "origin of a subdomain": {"HTTP_ORIGIN": "http://evil.testserver"},
    "origin of another port": {"HTTP_ORIGIN": "http://testserver:8443"},
    "https, no referer": {"secure": True},
    "https, evil referer": {"secure": True, "HTTP_REFERER": "https://evil.example/"},
    "https, referer by http": {"secure": True, "HTTP_REFERER": "http://testserver/"},
    "https, evil origin": {"secure": True, "HTTP_ORIGIN": "https://evil.example"},
    "https, origin null": {"secure": True, "HTTP_ORIGIN": "null"},
    "https, origin by http": {"secure": True, "HTTP_ORIGIN": "http://testserver"},
    "https, no token": {"secure": True, "HTTP_ORIGIN": "https://testserver", "token": ""},
}


@pytest.mark.parametrize("bare", [False, True], ids=["", "a host without CSRF middleware"])
@pytest.mark.parametrize("door", DOORS)
def test_no_change_is_made_for_a_form_of_another_site(settings, door, bare):
    """WB-03: and then the same form of our own page makes it."""
    if bare:
        settings.MIDDLEWARE = [path for path in settings.MIDDLEWARE if not path.endswith("CsrfViewMiddleware")]
    browser, path, body, changed = ready(door)
    for name, headers in FOREIGN.items():
        extra = {key: value for key, value in headers.items() if key != "token"}
        token = headers.get("token", browser.cookies["csrftoken"].value if "csrftoken" in browser.cookies else "")
        answer = browser.post(path, {**body, **({"csrfmiddlewaretoken": token} if token else {})}, **extra)
        assert answer.status_code == 403, name
        assert not changed(), name

    assert browser.submit(path, body, HTTP_ORIGIN="http://testserver").status_code in {303, 200, 400}
    assert changed()


@pytest.mark.parametrize("door", ["code", "link", "sign out"])
def test_the_form_of_our_own_page_is_accepted_on_https(door):
    """WB-03, the twin"""
    browser, path, body, changed = ready(door)
    answer = browser.submit(path, body, secure=True, HTTP_REFERER="https://testserver/login/")

    assert answer.status_code == 303
    assert changed()


def our_paths():
    values = {
        "token": f"{'a' * 22}{'b' * 43}",
        "aaguid": "00000000-0000-0000-0000-000000000000",
        "scheme": "light",
        "alias": "sms",
    }
    for pattern in get_resolver("passwordless_auth.urls").url_patterns:
        arguments = {name: values[name] for name in pattern.pattern.converters}
        yield reverse(f"passwordless_auth:{pattern.name}", kwargs=arguments)


@pytest.mark.parametrize("path", sorted(set(our_paths())))
def test_no_other_method_changes_anything(path):
    """WB-03: whatever its token."""
    browser = Browser()
    browser.sign_in()
    before = (list(Challenge.objects.values()), list(SignIn.objects.values()))
    for method in ("put", "patch", "delete"):
        token = browser.cookies["csrftoken"].value
        assert getattr(browser, method)(path).status_code in {403, 405}
        assert getattr(browser, method)(path, HTTP_X_CSRFTOKEN=token).status_code == 405
    for method in ("get", "head", "options"):
        assert getattr(browser, method)(path).status_code < 500

    assert (list(Challenge.objects.values()), list(SignIn.objects.values())) == before
    assert browser.who()["authenticated"]


# -- WB-05: headers of every page


def every_page(browser):
    """All pages in all their states, as ``(name, response)``."""
    yield "login", browser.get("/login/")
    yield "login", browser.start("nobody")
    started = browser.start()
    yield "wait", browser.get(started["Location"])
    yield "wait", guess(browser, wrong_code())
    yield "link", open_link(browser)
    elsewhere = stranger()
    yield "link_elsewhere", open_link(elsewhere)
    yield "link_elsewhere", press(elsewhere, identifier="wrong@example.com")
    yield "error", stranger().get("/login/link/")
    yield "error", stranger().get("/login/link/garbage/")
    yield "error", elsewhere.get(started["Location"])
    yield "denied", press(elsewhere, action="deny")
    yield "error", browser.get(started["Location"])
    yield "error", browser.submit("/login/resend/", {"challenge": newest().public_id})
    browser.sign_in()
    yield "login", browser.get("/login/")
    yield "account", browser.get("/account/")
    yield "sessions", browser.get("/account/sessions/")
    yield "logout_confirm", browser.get("/logout/")
    SignIn.objects.update(auth_time="2000-01-01T00:00:00Z")
    session = browser.session
    session["_passwordless_auth"] = {**session["_passwordless_auth"], "auth_time": 0}
    session.save()
    yield "step_up", browser.get("/login/step-up/")
    browser.submit("/logout/")
    yield "signed_out", browser.get("/logout/done/")
    yield from pages_of_another_device(browser)


def pages_of_another_device(browser):
    """Shown, claimed, approved; and what the notice of the new passkey leads to, before and after the press."""
    first, new = "/account/passkeys/other-device/", stranger()
    authenticator = passkeys.with_passkey(browser, "grace@example.com")
    assert passkeys.sign_in(browser, authenticator).status_code == 200
    yield "other_device", browser.get(first)
    browser.submit(first, {"action": "start"})
    yield "other_device", browser.get(first)
    challenge = Challenge.objects.get(purpose="enrol")
    named = {"challenge": challenge.public_id}
    yield "enrol", new.get(f"/enrol/{challenge.link_token()}/", follow=True)
    new.submit("/enrol/", named)
    yield "enrol", new.get("/enrol/")
    yield "error", stranger().get(f"/enrol/{challenge.link_token()}/", follow=True)
    yield "other_device", browser.get(first)
    yield "other_device", browser.submit(first, {**named, "action": "approve", "number": "x"})
    browser.submit(first, {**named, "action": "approve", "number": challenge.code()})
    yield "other_device", browser.get(first)
    yield "enrol", new.get("/enrol/")
    challenge = Challenge.objects.filter(purpose="report").latest("pk")
    yield "report", new.get(f"/login/report/{challenge.link_token()}/", follow=True)
    yield "report", new.submit("/login/report/", {"challenge": challenge.public_id}, follow=True)


def other_answers(browser):
    yield browser.start()
    yield browser.get("/account/")
    yield browser.get("/login/resend/")
    yield browser.submit("/login/", {"identifier": "x" * 70_000})
    yield browser.get("/login/wait/status.json")
    yield browser.get("/login/session.json")
    yield stranger().get("/login/wait/status.json")
    yield stranger().get("/login/wait/")
    yield browser.get(link_of())
    yield browser.options("/login/")


def policy_of(answer):
    directives = [part.split() for part in answer["Content-Security-Policy"].split(";")]
    assert len({name for name, *_values in directives}) == len(directives)
    return {name: values for name, *values in directives}


def test_every_page_tells_the_browser_to_run_and_load_nothing_foreign(browser):
    """WB-05"""
    seen = set()
    for name, answer in every_page(browser):
        assert page(answer) == name, answer.content
        seen.add(name)
        assert_protected(answer)
    templates = {"login", "wait", "link", "link_elsewhere", "denied", "error", "account", "sessions", "step_up"}
    assert seen == templates | {"logout_confirm", "signed_out", "other_device", "enrol", "report"}


def test_every_other_answer_is_protected_too(browser):
    """WB-05: redirects, refusals, JSON."""
    statuses = set()
    for answer in other_answers(browser):
        assert_protected(answer)
        statuses.add(answer.status_code)
    assert {303, 302, 405, 413, 200, 404} <= statuses


def assert_protected(answer):
    policy = policy_of(answer)
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert policy[name] == ["'none'"], name
    for name in ("script-src", "style-src", "connect-src", "form-action"):
        assert policy[name] == ["'self'"], name
    assert set(policy["img-src"]) <= {"'self'", "data:"}
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert "no-store" in answer["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer


class Markup(HTMLParser):
    """What of a page its own policy would refuse, and what it takes from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.inline = []
        self.loaded = []
        self.anchors = []
        self.forms = []
        self.script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        for name in ("src", "srcset", "data", "poster", "background"):
            if name in given:
                self.loaded.append(given[name])
        if tag in {"link", "use", "image"}:
            self.loaded.append(given.get("href", ""))
        if tag == "a":
            self.anchors.append(given)
        if tag == "form":
            self.forms.append(given)
        if tag in {"iframe", "object", "embed", "base", "frame"}:
            self.inline.append(tag)


def test_no_page_has_inline_code_or_takes_anything_from_elsewhere(browser):
    """WB-05, WB-09"""
    for name, answer in every_page(browser):
        found = Markup(answer.content.decode())
        assert found.inline == [], name
        assert found.loaded, name
        for url in found.loaded:
            assert url.startswith("/static/"), (name, url)
        for form in found.forms:
            assert form["action"].startswith("/"), name
            assert not form["action"].startswith("//"), name
        for anchor in found.anchors:
            assert stays(anchor["href"]), (name, anchor)


def test_the_only_way_out_is_the_persons_own_webmail_and_it_learns_nothing(browser):
    """WB-05"""
    shown = browser.get(browser.start("ada@gmail.com")["Location"])
    (out,) = [anchor for anchor in Markup(shown.content.decode()).anchors if not stays(anchor["href"])]

    assert out["href"] == "https://mail.google.com/"
    assert set(out["rel"].split()) == {"noopener", "noreferrer"}


def test_what_a_visitor_typed_is_shown_as_text(browser):
    """WB-05"""
    evil = '"><script>alert(1)</script>'
    answers = [browser.start(evil), browser.get("/login/", {"identifier": evil, "next": f"/{evil}"})]
    browser.start(ADA)
    answers.append(guess(browser, evil))
    answers.append(browser.get("/login/wait/", {"notice": evil, "challenge": evil}))
    answers.append(browser.get("/logout/done/", {"everywhere": evil}))

    for answer in answers:
        assert "<script>alert" not in answer.content.decode()
    assert evil.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;") in answers[0].content.decode()


def test_a_user_agent_is_shown_and_mailed_as_text(other_browser):
    """WB-05: the asker's user agent is on the page and in the mail of somebody else."""
    attacker = Browser(HTTP_USER_AGENT="<script>alert(1)</script> Firefox Windows")
    attacker.start()
    outbox.send_queued()
    shown = open_link(other_browser).content.decode()

    assert "Firefox" in shown
    assert "<script>alert" not in shown + mail.outbox[0].alternatives[0].content + mail.outbox[0].body


# -- WB-09: the link


def test_the_token_is_gone_from_the_address_after_the_first_hop(browser, other_browser):
    """WB-09"""
    browser.start()
    token = newest().link_token()
    for visitor in (browser, other_browser):
        hop = visitor.get(link_of())
        cookie = hop.cookies["passwordless_link"]

        assert (hop.status_code, hop["Location"]) == (303, "/login/link/")
        assert hop["Referrer-Policy"] == "no-referrer"
        assert token not in f"{hop.content}{dict(hop.headers)}"
        assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (token, True, "Lax")
        assert (cookie["path"], cookie["max-age"]) == ("/login/link/", 900)
        shown = visitor.get(hop["Location"])
        assert shown["Referrer-Policy"] == "no-referrer"
        assert token not in f"{shown.content}{dict(shown.headers)}{shown.cookies.output()}"
        assert token[22:] not in shown.content.decode()


def test_the_cookie_of_the_link_goes_when_it_has_served(browser):
    """WB-09"""
    browser.start()
    open_link(browser)
    cookie = press(browser).cookies["passwordless_link"]

    assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", 0, "/login/link/")
    assert browser.who()["authenticated"]


def test_refusals_behind_a_link_say_no_referrer_and_not_the_token(browser):
    """WB-09: a link with something at its end, as mail programs leave it."""
    browser.start()
    token = newest().link_token()
    for path in (f"/login/link/{token}./", f"/login/link/{token}%20/", f"/login/link/{token[:-1]}/", "/login/link/x/"):
        answer = browser.get(path)
        assert answer.status_code == 400
        assert answer["Referrer-Policy"] == "no-referrer"
        assert token[22:60] not in answer.content.decode()
