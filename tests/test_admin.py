"""The admin: enough to answer "I got no mail", read-only and masked."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from passwordless_auth.models import Challenge, Delivery, Event, Identity, SignIn
from passwordless_auth.testing import outbox

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
MODELS = [Challenge, Delivery, Event, Identity, SignIn]


def url(model, page="changelist", *arguments):
    return reverse(f"admin:passwordless_auth_{model._meta.model_name}_{page}", args=arguments)


def model_filter(model):
    """A filter that the page of this model offers."""
    return {Challenge: "state__exact", Delivery: "kind", Identity: "origin__exact"}[model]


@pytest.fixture
def admin(client):
    user = User.objects.create_superuser("root", "root@example.net", "x")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def rows(browser, clock):
    """Ada signed in, came back and guessed three times; somebody asks for Bob, twice."""
    browser.sign_in(ADA)
    clock.shift(61)
    browser.start(ADA)
    wrong = f"{(int(outbox.last_code(ADA)) + 1) % 10**6:06}"
    for _ in range(3):
        browser.submit("/login/wait/", {"code": wrong})
    browser.start("bob@example.com")
    browser.start("bob@example.com")
    of_ada = {"canonical": ADA}, {"user__email": ADA}
    return {model: model.objects.filter(**of_ada[model in (Event, SignIn)]).earliest("pk") for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows_are_shown_with_masked_addresses_and_without_secrets(admin, rows, model):
    for address in (url(model), url(model, "change", rows[model].pk)):
        page = admin.get(address)
        assert page.status_code == 200
        text = page.content.decode()
        assert "@e•••.com" in text or model is SignIn
        for challenge in Challenge.objects.all():
            for secret in (challenge.code(), challenge.link_token(), challenge.nonce.hex()):
                assert secret not in text
        for sign_in in SignIn.objects.all():
            for secret in (sign_in.session_key(), sign_in.session_key_sealed, sign_in.browser_digest):
                assert secret not in text


@pytest.mark.parametrize("model", [Challenge, Delivery, Event, Identity])
def test_no_page_of_ours_shows_an_address_in_full(admin, rows, model):
    User.objects.exclude(username="root").update(email="")  # the user's own row is the host's
    for address in (url(model), url(model, "change", rows[model].pk)):
        text = admin.get(address).content.decode()
        assert ADA not in text
        assert "bob@example.com" not in text


@pytest.mark.parametrize("model", MODELS)
def test_nothing_can_be_added_changed_or_deleted(admin, rows, model):
    row = rows[model]
    before = model.objects.filter(pk=row.pk).values().get()

    assert admin.get(url(model, "add")).status_code == 403
    assert admin.post(url(model, "add"), {}).status_code == 403
    assert admin.post(url(model, "change", row.pk), {"kind": "x"}).status_code == 403
    assert admin.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    admin.post(url(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})

    assert model.objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("model", MODELS)
def test_a_row_is_found_by_the_whole_address_and_by_no_part_of_it(admin, rows, model):
    def found(text):
        return admin.get(url(model), {"q": text}).context["cl"].result_count

    everything = admin.get(url(model)).context["cl"].result_count
    assert everything == model.objects.count()
    assert 1 <= found(" ADA@example.com ") < max(everything, 2)
    for part in ("ada", "ada@", "example.com", "@", "nobody@example.com"):
        assert found(part) == 0


@pytest.mark.parametrize("model", [Challenge, Delivery, Identity])
def test_a_masked_address_can_not_be_spelled_out_by_filters(admin, rows, model):
    assert admin.get(url(model), {"canonical__startswith": "a"}).status_code == 400
    assert admin.get(url(model), {model_filter(model): "x"}).status_code == 200


@pytest.mark.parametrize("model", [Challenge, Delivery, Identity, SignIn])
def test_a_row_is_found_by_its_public_id(admin, rows, model):
    answer = admin.get(url(model), {"q": rows[model].public_id})

    assert answer.context["cl"].result_count == 1


def test_events_are_found_by_their_kind(admin, rows):
    assert Event.objects.count() == 2
    assert admin.get(url(Event), {"q": "limit"}).context["cl"].result_count == 1


def test_why_ada_got_no_mail_can_be_read(admin, rows):
    Delivery.objects.filter(canonical=ADA).update(state="failed", error="SMTPRecipientsRefused [550]", attempts=1)
    text = admin.get(url(Delivery), {"q": ADA}).content.decode()

    assert "SMTPRecipientsRefused [550]" in text
    assert "failed" in text
    text = admin.get(url(Challenge), {"q": ADA}).content.decode()
    assert "Chrome · Windows" in text


def test_the_sessions_of_a_person_are_listed_with_how_they_were_made(admin, rows):
    text = admin.get(url(SignIn)).content.decode()

    assert "one_time_code" in text
    assert "Chrome · Windows" in text


@pytest.mark.parametrize("model", MODELS)
def test_who_may_not_look_does_not_see(client, rows, model):
    helper = User.objects.create_user("helper", is_staff=True)
    client.force_login(helper, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(url(model)).status_code == 403

    helper.user_permissions.add(Permission.objects.get(codename=f"view_{model._meta.model_name}"))
    assert client.get(url(model)).status_code == 200
