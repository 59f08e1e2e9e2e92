"""Mail leaves through Anymail to a provider's API, and the provider's webhooks tell what became of it."""

import importlib
import inspect
import pkgutil

import anymail.backends
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from passwordless_auth.channels import email
from passwordless_auth.flows import anymail as ours
from passwordless_auth.models import AddressMark, Delivery, Event
from passwordless_auth.testing import outbox
from tests import mail_services

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture(params=mail_services.ALL, ids=lambda kind: kind.name)
def service(request, settings):
    service = request.param()
    service.use(settings)
    yield service
    service.close()


@pytest.fixture
def postmark(settings):
    service = mail_services.Postmark()
    service.use(settings)
    yield service
    service.close()


def sent_to(browser, address=ADA):
    """A message that was asked for, and taken by the provider."""
    browser.start(address)
    assert outbox.send_queued() == 1
    return Delivery.objects.latest("pk")


def told(service, kind, delivery, **facts):
    response = service.tell(Client(), kind, delivery, **facts)
    assert response.status_code == 200
    delivery.refresh_from_db()
    return delivery


# -- there and back


def test_what_a_provider_tells_lands_in_the_row(service, browser, clock):
    delivery = sent_to(browser)
    assert (delivery.state, delivery.provider) == ("handed_over", service.name)
    assert delivery.provider_id
    assert delivery.public_id in service.sent[0]

    for kind in ("deferred", "sent" if service.name == "Mandrill" else "delivered"):
        clock.shift(60)
        told(service, kind, delivery)

    arrived = {"Mandrill": "deferred"}.get(service.name, "delivered")
    assert delivery.state == arrived  # what Mandrill says last is less than what it said before
    assert {str(step.state) for step in delivery.steps()} >= {"queued", "handed_over", "deferred"}
    assert not AddressMark.objects.exists()


def test_a_hard_bounce_marks_the_address(service, browser):
    delivery = told(service, "bounced", sent_to(browser))

    assert delivery.state == "bounced"
    assert "550 5.1.1" in delivery.error
    mark = AddressMark.objects.get()
    assert (mark.canonical, mark.reason, mark.provider) == (ADA, "bounced", service.name)
    event = Event.objects.get(kind="address_marked")
    assert (event.masked, event.data["reason"]) == ("a•••@e•••.com", "bounced")


def test_a_complaint_marks_the_address(service, browser):
    delivery = told(service, "complained", sent_to(browser))

    assert delivery.state == "complained"
    assert AddressMark.objects.get().reason == "complained"


def test_a_refusal_is_told(service, browser):
    assert told(service, "rejected", sent_to(browser)).state == "rejected"


def test_a_forged_webhook_is_refused(service, browser):
    delivery = sent_to(browser)
    response = service.tell(Client(), "bounced", delivery, forged=True)

    assert response.status_code == 400
    delivery.refresh_from_db()
    assert delivery.state == "handed_over"
    assert not AddressMark.objects.exists()


def test_a_webhook_for_mail_that_is_not_ours_is_answered_and_forgotten(service, browser):
    delivery = sent_to(browser)
    other = Delivery(public_id="A" * 22, provider_id="of-the-shop", canonical="bob@example.com")

    assert service.tell(Client(), "bounced", other).status_code == 200
    delivery.refresh_from_db()
    assert delivery.state == "handed_over"
    assert not AddressMark.objects.exists()


def test_one_provider_can_not_speak_for_another(service, browser, settings):
    delivery = sent_to(browser)
    stranger = next(kind for kind in mail_services.ALL if kind.name != service.name)()
    try:
        stranger.use(settings)
        told(stranger, "bounced", delivery)
    finally:
        stranger.close()

    assert delivery.state == "handed_over"


def test_it_comes_late_twice_and_in_any_order(service, browser):
    delivery = sent_to(browser)
    for kind in ("bounced", "deferred", "bounced", "bounced"):
        told(service, kind, delivery)

    assert delivery.state == "bounced"
    assert sorted(str(step.state) for step in delivery.steps()) == ["bounced", "deferred", "handed_over", "queued"]
    assert Event.objects.filter(kind="address_marked").count() == 1


# -- quicker than our own note


def test_a_webhook_that_is_quicker_than_our_note_finds_the_row_by_our_key(postmark, browser):
    """The sender died between the provider's answer and its note: the message is not sent a second time."""
    delivery = sent_to(browser)
    took = delivery.provider_id
    Delivery.objects.update(state="queued", handed_over_at=None, provider="", provider_id="")
    delivery.provider_id = took
    told(postmark, "delivered", delivery)

    assert (delivery.state, delivery.provider, delivery.provider_id) == ("delivered", "Postmark", took)
    assert outbox.send_queued() == 0
    assert len(postmark.sent) == 1


def test_the_provider_s_id_alone_is_enough(postmark, browser):
    assert told(postmark, "delivered", sent_to(browser), metadata=False).state == "delivered"


# -- what is kept


def test_neither_the_address_nor_a_code_that_a_mail_server_repeats_is_kept(postmark, browser):
    delivery = told(postmark, "deferred", sent_to(browser))

    assert delivery.error == "451 4.7.1"
    assert "482" not in str(delivery.history)
    told(postmark, "bounced", delivery)
    assert delivery.error == "bounced 550 5.1.1"
    assert "ada" not in str(delivery.history)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("550 5.1.1 <ada@example.com>: no such user", "550 5.1.1"),
        ("smtp;550-5.1.1 no such user", "550 5.1.1"),
        ("smtp; 451 later", "451"),
        ("Host said: 5.7.26 unauthenticated", "5.7.26"),
        ("Your code is 482 913", ""),
        ("482913", ""),
        ("sent from 10.5.1.1", ""),
        (None, ""),
        ({"code": 550}, ""),
    ],
)
def test_only_the_codes_of_an_answer_are_read(text, codes):
    assert ours._codes(text) == codes


def test_an_opened_mail_changes_nothing(postmark, browser):
    assert told(postmark, "opened", sent_to(browser)).state == "handed_over"


@pytest.mark.parametrize("metadata", [None, [], "x", {"passwordless_id": None}, {"passwordless_id": ["x"]}])
def test_metadata_of_any_shape_is_no_error(postmark, browser, metadata):
    delivery = sent_to(browser)
    facts = {} if metadata is None else {"Metadata": {"x": metadata}}
    if isinstance(metadata, dict):
        facts = {"Metadata": metadata}

    assert told(postmark, "delivered", delivery, **facts).state == "delivered"


def test_a_soft_bounce_says_nothing_about_the_address(postmark, browser):
    """What was refused for its content, or by a policy, or for a while."""
    delivery = told(postmark, "bounced", sent_to(browser), Type="VirusNotification")

    assert delivery.state == "bounced"
    assert not AddressMark.objects.exists()


# -- the mark


def test_a_later_message_that_is_delivered_lifts_the_mark(postmark, browser, clock):
    first = told(postmark, "bounced", sent_to(browser))
    told(postmark, "delivered", first)  # late, and about the same message
    assert AddressMark.objects.exists()

    clock.shift(61)
    told(postmark, "delivered", sent_to(browser))

    assert not AddressMark.objects.exists()
    assert Event.objects.filter(kind="address_mark_lifted", masked="a•••@e•••.com").count() == 1


def test_a_message_that_was_asked_for_before_the_bounce_lifts_nothing(postmark, browser, clock):
    early = sent_to(browser)
    clock.shift(61)
    told(postmark, "bounced", sent_to(browser))
    told(postmark, "delivered", early)

    assert AddressMark.objects.exists()


def test_a_complaint_is_not_lifted_by_a_delivery_and_outweighs_a_bounce(postmark, browser, clock):
    told(postmark, "complained", sent_to(browser))
    clock.shift(61)
    told(postmark, "bounced", sent_to(browser))
    assert AddressMark.objects.get().reason == "complained"
    clock.shift(61)
    told(postmark, "delivered", sent_to(browser))

    assert AddressMark.objects.get().reason == "complained"


def test_the_mark_goes_with_the_account(postmark, browser):
    User.objects.create_user("ada", ADA)
    told(postmark, "complained", sent_to(browser))
    AddressMark.objects.create(canonical="bob@example.com", reason="bounced", marked_at=timezone.now())
    User.objects.get(email=ADA).delete()

    assert AddressMark.objects.get().canonical == "bob@example.com"


# -- what Anymail is told


def test_links_are_left_alone_whatever_the_host_s_defaults_say(postmark, browser, settings):
    postmark.use(settings, SEND_DEFAULTS={"track_clicks": True, "track_opens": True, "metadata": {"app": "shop"}})
    sent_to(browser)

    assert '"TrackLinks": "None"' in postmark.sent[0]
    assert '"TrackOpens": false' in postmark.sent[0]
    assert '"app": "shop"' in postmark.sent[0]


def test_what_is_said_of_each_provider_is_what_the_installed_anymail_can():
    from anymail.backends.base import BasePayload

    able = {"metadata": set(), "track_clicks": set(), "track_opens": set()}
    names = set()
    for found in pkgutil.iter_modules(anymail.backends.__path__):
        try:
            module = importlib.import_module(f"anymail.backends.{found.name}")
        except ImportError:  # Amazon's needs a package of its own
            continue
        backend = getattr(module, "EmailBackend", None)
        if backend is None or found.name in {"test", "console", "sendinblue"}:
            continue
        names.add(backend.esp_name)
        for _name, payload in inspect.getmembers(module, inspect.isclass):
            if payload.__module__ != module.__name__ or not issubclass(payload, BasePayload):
                continue
            for feature, those in able.items():
                if getattr(payload, f"set_{feature}") is not getattr(BasePayload, f"set_{feature}"):
                    those.add(backend.esp_name)

    assert names - able["metadata"] == email.WITHOUT_METADATA & names
    assert names - able["track_clicks"] == names - able["track_opens"] == email.WITHOUT_TRACKING_SWITCH & names
