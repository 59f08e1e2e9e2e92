"""The inbox of the example: what is sent is there for every process, and harms nobody."""

import re
from datetime import UTC, datetime, timedelta

from .conftest import manage

KEYS = {"id", "channel", "to", "subject", "text", "html", "code", "link", "sent_at"}


def start(site, address):
    visitor = site.visitor()
    visitor.get("/login/")
    visitor.post("/login/", identifier=address)
    return site.message(address)


def test_a_message_is_told_with_its_code_and_link(site):
    message = start(site, "told@example.com")

    assert set(message) == KEYS
    assert message["id"].isdigit()
    assert message["channel"] == "email"
    assert message["to"] == "told@example.com"
    assert re.fullmatch(r"\d{6}", message["code"])
    assert message["code"] in message["subject"]
    assert message["link"].startswith(f"{site.url}/login/link/")
    assert message["link"] in message["text"]
    assert message["link"] in message["html"]
    sent_at = datetime.fromisoformat(message["sent_at"])
    assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=1)


def test_the_case_of_an_address_does_not_matter(site):
    start(site, "cased@example.com")

    assert len(site.messages("CASED@Example.com")) == 1


def test_the_newest_comes_first(site):
    site.keep(recipient="order@example.com", subject="first")
    site.keep(recipient="order@example.com", subject="second")

    assert [message["subject"] for message in site.messages("order@example.com")] == ["second", "first"]


def test_without_an_address_all_are_told(site):
    site.keep(recipient="all-1@example.com")
    site.keep(recipient="all-2@example.com")

    found = site.visitor().get("/inbox/messages.json").json()["messages"]

    assert [message["to"] for message in found[:2]] == ["all-2@example.com", "all-1@example.com"]


def test_nobody_has_no_messages(site):
    assert site.messages("nobody@example.com") == []


def test_each_recipient_of_djangos_own_mail_gets_a_row(site):
    done = site.manage("sendtestemail", "one@example.com", "Two <two@example.com>")

    assert done.returncode == 0, done.stderr
    (one,), (two,) = site.messages("one@example.com"), site.messages("two@example.com")
    assert one["subject"].startswith("Test email")
    assert two["subject"] == one["subject"]
    assert one["html"] is one["code"] is one["link"] is None
    assert one["text"] == two["text"] != ""


def test_only_the_newest_five_hundred_stay(site):
    site.keep(count=505, recipient="many@example.com")

    start(site, "last@example.com")

    assert site.sql("SELECT COUNT(*) FROM inbox_message") == [(500,)]
    assert len(site.messages("last@example.com")) == 1
    assert len(site.messages("many@example.com")) == 499


def test_the_page_shows_the_newest_open_and_takes_one_through_the_others(site):
    site.keep(recipient="person@example.com", subject="Older", text="the older text")
    newest = site.keep(recipient="person@example.com", subject="Newer", text="the newer text", html="<p>newer</p>")
    site.keep(count=30, recipient="filler@example.com", subject="Filler")
    visitor = site.visitor()

    page = visitor.get("/inbox/?to=PERSON@example.com")
    assert "the newer text" in page.text
    assert f'href="/inbox/{newest}/?to=PERSON%40example.com"' in page.text
    assert f'src="/inbox/{newest}/html/"' in page.text
    assert "the older text" in visitor.get(f"/inbox/{newest - 1}/?to=PERSON@example.com").text
    assert "page=2" in visitor.get("/inbox/").text


def test_a_message_can_be_used_without_scripts(site):
    message = start(site, "plain@example.com")

    page = site.visitor().get(f"/inbox/{message['id']}/").text

    assert f">{message['code']}</output>" in page
    assert f'href="{message["link"]}"' in page
    assert not re.search(r"\sstyle=|<style|\son\w+=|<script>", page)


def test_an_sms_is_shown_as_its_text(site):
    pk = site.keep(channel="sms", recipient="+4930123456", text="123456 is your code", code="123456")

    page = site.visitor().get(f"/inbox/{pk}/").text

    assert "SMS to" in page
    assert '<h1 id="subject"><bdi>123456 is your code</bdi></h1>' in page
    assert "123456 is your code" in page
    assert "<iframe" not in page
    assert site.messages("+4930123456")[0]["html"] is None


def test_the_list_tells_one_sms_from_another_by_its_first_line(site):
    site.keep(channel="sms", recipient="+4930123457", text="An address was added.\nWas it not you?")
    site.keep(channel="sms", recipient="+4930123457", text="654321 is your code\n\n@localhost #654321")

    page = site.visitor().get("/inbox/?to=%2B4930123457").text
    subjects = re.findall(r'<bdi class="ib-subject">([^<]*)</bdi>', page)
    assert subjects == ["654321 is your code", "An address was added."]


def test_html_of_a_message_is_locked_in(site):
    html = "<html><HEAD lang=en></HEAD><body><script>alert(1)</script><a href='/login/'>go</a></body></html>"
    pk = site.keep(subject="<script>alert(2)</script>", text="<script>alert(3)</script>", html=html)
    visitor = site.visitor()

    frame = visitor.get(f"/inbox/{pk}/html/")
    policy = frame.headers["Content-Security-Policy"]
    page = visitor.get(f"/inbox/{pk}/")

    assert "sandbox allow-popups allow-popups-to-escape-sandbox;" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "X-Frame-Options" not in frame.headers
    assert '<HEAD lang=en><base target="_blank"></HEAD>' in frame.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "alert(1)" not in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(2)" in page.text
    assert "&lt;script&gt;alert(3)" in page.text


def test_html_without_a_head_gets_its_window_too(site):
    pk = site.keep(html="<p>bare</p>")

    assert site.visitor().get(f"/inbox/{pk}/html/").text == '<base target="_blank"><p>bare</p>'


def test_what_is_not_there_is_not_found(site):
    pk = site.keep(text="no html")

    for path in ("/inbox/999999999/", "/inbox/999999999/html/", f"/inbox/{pk}/html/"):
        assert site.visitor().get(path).status == 404, path


def test_nothing_of_it_is_kept_by_a_browser(site):
    pk = site.keep(html="<p>x</p>")

    for path in ("/inbox/", f"/inbox/{pk}/", f"/inbox/{pk}/html/", "/inbox/messages.json"):
        assert "no-store" in site.visitor().get(path).headers["Cache-Control"], path


def test_without_inbox_it_does_not_exist(site):
    script = (
        "from django.test import Client\n"
        "paths = ['/', '/inbox/', '/inbox/messages.json', '/inbox/1/', '/inbox/1/html/']\n"
        "answers = [Client(HTTP_HOST='localhost').get(path) for path in paths]\n"
        "print([answer.status_code for answer in answers], 'inbox' in answers[0].content.decode())"
    )

    done = manage("shell", "-c", script, cwd=site.folder, **site.environment)

    assert done.stdout.endswith("[200, 404, 404, 404, 404] False\n"), done.stderr
