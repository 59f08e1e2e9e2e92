"""Text messages in the admin: an attack is seen in one look, and a pause that was a mistake is ended."""

import pytest
from django.contrib.auth.models import Permission

from passwordless_auth.flows import pumping
from passwordless_auth.models import Event
from passwordless_auth.testing import signed_in_client
from passwordless_auth.testing.factories import UserFactory
from tests.conftest import Browser

pytestmark = pytest.mark.django_db

PREFIX = "+4915123"


@pytest.fixture
def attack(sms, clock):
    """Eighteen codes to one block that nobody typed, and two to others that people did."""
    for number in range(18):
        Browser(REMOTE_ADDR=f"203.{number}.113.9").start(f"{PREFIX}{100000 + number}")
    for block in (30, 31):
        Browser(REMOTE_ADDR=f"198.{block}.100.9").sign_in(f"+49151{block}100001")
    clock.shift(601)
    pumping.look()


@pytest.fixture
def page(url):
    return url("passwordless_auth_delivery_text_messages")


def test_countries_and_their_blocks_with_what_was_typed_and_what_it_costs(attack, client_of_root, page):
    html = client_of_root.get(page).content.decode()

    assert "2 (10 %)" in html  # of Germany's twenty
    assert "0 (0 %)" in html
    assert "Reckoned at 2.00 in all, of 50 a day." in html
    assert "Paused for 60 minutes." in html
    assert html.count("<rect") == 48
    assert "The highest: 20 messages." in html
    assert "20 sent, 2 typed" in html


def test_the_list_of_deliveries_leads_there_where_there_are_text_messages(client_of_root, url, page, settings, sms):
    deliveries = url("passwordless_auth_delivery_changelist")
    assert page in client_of_root.get(deliveries).content.decode()

    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = []
    assert page not in client_of_root.get(deliveries).content.decode()


def test_a_pause_is_ended_by_a_press_and_the_log_says_by_whom(attack, client_of_root, page, clock, root):
    clock.shift(3000)
    answer = client_of_root.post(page, {"what": "prefix", "name": PREFIX}, follow=True)

    assert f"Text messages to {PREFIX} are sent again." in answer.content.decode()
    assert "Paused" not in answer.content.decode()
    assert Browser(REMOTE_ADDR="203.99.113.9").start(f"{PREFIX}999999").status_code == 303
    assert Event.objects.get(kind="sms_resumed").data["operator"] == f"root ({root.pk})"


@pytest.mark.parametrize("posted", [{}, {"what": "all", "name": "x"}, {"what": "prefix", "name": "\0" * 9}])
def test_what_is_no_pause_changes_nothing(attack, client_of_root, page, posted):
    assert client_of_root.post(page, posted, follow=True).status_code == 200
    assert not Event.objects.filter(kind="sms_resumed").exists()


def test_who_may_only_look_is_shown_no_button_and_refused(attack, page):

    viewer = UserFactory(username="eve", address="eve@example.net", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    client = signed_in_client(viewer, "phr")

    assert "End the pause" not in client.get(page).content.decode()
    assert client.post(page, {"what": "prefix", "name": PREFIX}).status_code == 403


def test_who_may_not_see_deliveries_does_not_see_them(page, db):
    client = signed_in_client(UserFactory(username="mal", address="mal@example.net", is_staff=True), "phr")

    assert client.get(page).status_code == 403


def test_without_any_the_page_says_so(client_of_root, page):
    assert "No text messages in the last day." in client_of_root.get(page).content.decode()


def test_the_page_costs_the_same_whatever_happened(attack, client_of_root, page, django_assert_num_queries):
    client_of_root.get(page)
    with django_assert_num_queries(7):
        client_of_root.get(page)
