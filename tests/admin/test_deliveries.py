""" "I got no mail": what became of each message, and the addresses whose messages came back."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.utils import timezone

from passwordless_auth.flows import receipts
from passwordless_auth.models import AddressMark, Delivery, Event, Identity
from passwordless_auth.testing import signed_in_client
from passwordless_auth.testing.factories import ChallengeFactory, DeliveryFactory, IdentityFactory, UserFactory

from .test_lists import change_of, lines, list_of, words

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def sent(address=ADA, **fields):
    challenge = ChallengeFactory(canonical=address, identity=None, user=None)
    now = timezone.now()
    facts = {"state": "handed_over", "handed_over_at": now, "provider": "Postmark", "provider_id": "m-1", **fields}
    return DeliveryFactory(challenge=challenge, **{"created_at": now - timedelta(seconds=2), **facts})


def test_one_look_answers_why_somebody_got_no_mail(client_of_root):
    sent("bob@example.com", provider_id="m-0")
    row = sent()
    receipts.record("Postmark", "m-1", "deferred", detail="451 4.7.1")
    receipts.record("Postmark", "m-1", "bounced", detail="bounced 550 5.1.1", of_address=True)

    (line,) = lines(client_of_root, Delivery, q="Ada@Example.com")
    for text in ("a•••@e•••.com came back 2 s bounced 550 5.1.1 came back open", "Postmark"):
        assert text in line
    (line,) = lines(client_of_root, Delivery, q="bob@example.com")
    assert "b•••@e•••.com handed over 2 s - - open" in line
    assert len(lines(client_of_root, Delivery, q="m-1")) == 1
    assert len(lines(client_of_root, Delivery, q=row.public_id)) == 1

    page = words(client_of_root.get(change_of(row)))
    for text in ("queued", "handed over · Postmark · m-1", "put off by the receiver · Postmark · 451 4.7.1"):
        assert text in page
    assert ADA not in page


@pytest.mark.parametrize("choice", [{"state": "bounced"}, {"provider": "Mailgun"}])
def test_the_list_is_filtered(client_of_root, choice):
    sent()
    sent(provider="Mailgun", state="bounced")

    assert len(lines(client_of_root, Delivery, **choice)) == 1


def test_the_price_is_shown(client_of_root):
    row = sent(cost=Decimal("0.007500"), currency="USD")

    assert "0.0075 USD" in words(client_of_root.get(change_of(row)))


def test_the_attempt_is_one_press_away(client_of_root):
    row = sent()

    html = client_of_root.get(list_of(Delivery)).content.decode()
    assert f'href="{change_of(row.challenge)}"' in html


#: Words that are the same in both languages.
SAME = {"Browser", "Details", "IP"}


@pytest.mark.parametrize("factory", [DeliveryFactory, ChallengeFactory, IdentityFactory])
def test_german_people_read_german_headings(client_of_root, factory):
    row = factory()
    told = {}
    for language in ("en", "de"):
        answers = [client_of_root.get(page, headers={"accept-language": language}) for page in _pages(row)]
        html = " ".join(answer.content.decode() for answer in answers)
        headings = re.findall(r'<div class="text">(.*?)</div>|<label>(.*?)</label>', html, re.S)
        told[language] = {re.sub(r"<[^>]+>", "", "".join(found)).strip(" :\n").lower() for found in headings}

    assert len(told["en"]) > 10
    assert told["en"] & told["de"] <= {word.lower() for word in SAME} | {""}


def _pages(row):
    return list_of(type(row)), change_of(row)


# -- marked addresses


@pytest.fixture
def mark(db):
    return AddressMark.objects.create(
        canonical=ADA, reason="bounced", provider="Postmark", detail="bounced 550 5.1.1", marked_at=timezone.now()
    )


def test_marked_addresses_are_listed_masked_and_found_whole(client_of_root, mark):
    (line,) = lines(client_of_root, AddressMark, q=ADA)
    for text in ("a•••@e•••.com", "came back", "Postmark", "bounced 550 5.1.1"):
        assert text in line
    assert ADA not in words(client_of_root.get(change_of(mark)))
    assert lines(client_of_root, AddressMark, q="bob@example.com") == []
    assert len(lines(client_of_root, AddressMark, reason="bounced")) == 1


def test_an_identity_shows_its_mark(client_of_root, mark):
    IdentityFactory(canonical=ADA)
    IdentityFactory(canonical="bob@example.com")

    for address, marked in ((ADA, True), ("bob@example.com", False)):
        (line,) = lines(client_of_root, Identity, q=address)
        assert ("came back" in line) is marked


@pytest.mark.parametrize("model", [Delivery, Identity])
def test_the_mark_says_why_and_is_one_press_away(client_of_root, mark, model):
    AddressMark.objects.update(reason="complained")
    sent()
    IdentityFactory(canonical=ADA)

    (line,) = lines(client_of_root, model, q=ADA)
    html = client_of_root.get(list_of(model)).content.decode()
    assert "reported as spam" in line
    assert html.count(f'href="{change_of(mark)}"') == 1
    page = client_of_root.get(change_of(model.objects.get(canonical=ADA))).content.decode()
    assert f'href="{change_of(mark)}"' in page


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_how_long_after_the_beginning_it_came_to_be_what_it_is(client_of_root, seconds, said):
    now = timezone.now()
    sent(created_at=now - timedelta(days=3), handed_over_at=now - timedelta(days=3) + timedelta(seconds=seconds))

    (line,) = lines(client_of_root, Delivery)
    assert f"handed over {said} -" in line


def test_a_number_without_its_country_is_not_answered_by_nothing_found(client_of_root, sms):
    answer = client_of_root.get(list_of(Delivery), {"q": "0151 23456789"})

    assert "Is this a phone number? Then begin with its country code" in words(answer)


@pytest.mark.parametrize("known", [True, False])
def test_an_administrator_lifts_a_mark_and_says_why(client_of_root, mark, known):
    """Whether the address belongs to anybody or not."""
    if known:
        IdentityFactory(canonical=ADA)
    page = f"{list_of(AddressMark)}acts/lift-mark/?id={mark.pk}"
    assert "a•••@e•••.com" in words(client_of_root.get(page))
    answer = client_of_root.post(page, {"reason": "She has a new mailbox"}, follow=True)

    assert "1 mark is lifted." in words(answer)
    assert not AddressMark.objects.exists()
    event = Event.objects.get(kind="address_mark_lifted")
    assert (event.masked, event.data["reason"]) == ("a•••@e•••.com", "She has a new mailbox")
    assert event.data["operator"].startswith("root")


def test_a_mark_is_lifted_from_its_own_page_and_from_the_list(client_of_root, mark):
    assert "acts/lift-mark/" in client_of_root.get(change_of(mark)).content.decode()
    answer = client_of_root.post(list_of(AddressMark), {"action": "lift_mark", "_selected_action": [mark.pk]})

    assert "acts/lift-mark/" in answer["Location"]


def test_who_lifts_a_mark_on_its_own_page_comes_to_the_list(client_of_root, mark):
    """The page itself is gone with the mark."""
    html = client_of_root.get(change_of(mark)).content.decode()
    page = unescape(re.search(r'href="([^"]*acts/lift-mark/[^"]*)"', html)[1])
    form = client_of_root.get(page).content.decode()
    back = unescape(re.search(r'name="next" value="([^"]*)"', form)[1])
    answer = client_of_root.post(page, {"reason": "She has a new mailbox", "next": back}, follow=True)

    assert answer.request["PATH_INFO"] == list_of(AddressMark)
    assert "1 mark is lifted." in words(answer)
    assert "doesn’t exist" not in words(answer)


def test_a_mark_that_is_gone_is_not_lifted_twice(client_of_root, mark):
    page = f"{list_of(AddressMark)}acts/lift-mark/?id={mark.pk}"
    for _ in range(2):
        client_of_root.post(page, {"reason": "x"})

    assert Event.objects.filter(kind="address_mark_lifted").count() == 1


def test_who_may_only_look_lifts_nothing(mark):
    from django.contrib.auth.models import Permission

    helper = UserFactory(username="helper", is_staff=True)
    helper.user_permissions.add(Permission.objects.get(codename="view_addressmark"))
    client = signed_in_client(helper, "phr")

    assert len(lines(client, AddressMark)) == 1
    assert "lift-mark" not in client.get(change_of(mark)).content.decode()
    assert client.post(f"{list_of(AddressMark)}acts/lift-mark/?id={mark.pk}", {"reason": "x"}).status_code == 403
    assert AddressMark.objects.exists()
