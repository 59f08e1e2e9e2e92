"""The scanner sees what a scanner sees, and leaves everything as it was."""

import pytest
from django.core.mail import EmailMultiAlternatives

from passwordless_auth.models import Challenge, SignIn
from passwordless_auth.testing import last_code, last_link, last_message, scan
from passwordless_auth.testing.mail_scanner import links_in

pytestmark = pytest.mark.django_db
ADA = "ada@example.com"


def test_it_opens_each_link_four_times(browser):
    browser.start(ADA)
    link = last_link(ADA)
    visits = scan(last_message(ADA))

    assert link in links_in(last_message(ADA))
    assert [visit.method for visit in visits if visit.url == link] == ["HEAD", "GET", "GET", "OPTIONS"]
    assert {visit.status for visit in visits if visit.url == link} == {200}
    by_get = next(visit for visit in visits if (visit.url, visit.method) == (link, "GET"))
    assert by_get.ended_at == "/login/link/"
    assert 'data-page="link_elsewhere"' in by_get.content


def test_nothing_is_spent_and_nobody_is_in(browser):
    browser.start(ADA)
    scan(last_message(ADA))

    assert Challenge.objects.get().state == Challenge.State.OPEN
    assert not SignIn.objects.exists()
    assert browser.submit("/login/wait/", {"code": last_code(ADA)}).status_code == 303


def test_it_finds_out_when_a_link_is_spent(browser):
    """The check can fail: here the link is used up before the scanner comes."""
    browser.start(ADA)
    message = last_message(ADA)
    browser.submit("/login/wait/", {"code": last_code(ADA)})

    assert 410 in {visit.status for visit in scan(message)}


def test_only_links_to_this_site_are_opened():
    message = EmailMultiAlternatives(
        body="http://testserver/login/ https://elsewhere.example/ http://testserver.evil.example/ http://testserver"
    )
    message.attach_alternative('<a href="http://testserver/login/?next=/a/&amp;b=1">x</a>', "text/html")

    assert links_in(message) == [
        "http://testserver/login/",
        "http://testserver",
        "http://testserver/login/?next=/a/&b=1",
    ]
    assert links_in("see http://testserver/logout/done/") == ["http://testserver/logout/done/"]
    assert [visit.status for visit in scan("see http://testserver/logout/done/")] == [200, 200, 200, 200]


def test_the_query_is_asked_too(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://testserver"
    visits = scan("https://testserver/login/?next=/members/#top")

    assert 'value="/members/"' in visits[1].content
