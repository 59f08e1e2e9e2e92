from io import StringIO

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from example_project.relying_party import registration
from passwordless_auth.models import Identity

PEOPLE = [
    {"email": "admin@example.com", "first_name": "Site", "last_name": "Admin", "is_staff": True, "is_superuser": True},
    {"email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace"},
    {"email": "grace@example.com", "first_name": "Grace", "last_name": "Hopper"},
    {"email": "alan@example.com", "first_name": "Alan", "last_name": "Turing"},
    {"email": "closed@example.com", "first_name": "Closed", "last_name": "Account", "is_active": False},
]


class Command(BaseCommand):
    help = (
        "Makes an administrator, a few people to sign in as, and the demo's client; a second time it changes nothing."
    )

    def handle(self, *args, **options):
        made = sum(add(**person) for person in PEOPLE)
        if settings.CLIENT_URL:
            register_client(settings.CLIENT_URL)
        if options["verbosity"]:
            self.stdout.write(f"{made} of {len(PEOPLE)} people were new.")


@transaction.atomic
def add(*, email: str, **fields: object) -> bool:
    """One person whose address is proven, as if they had signed in before. False when they are there already."""
    if Identity.objects.filter(kind="email", canonical=email, proven_at__isnull=False).exists():
        return False
    unusable = make_password(None)
    user, _ = get_user_model().objects.get_or_create(
        username=email.partition("@")[0], defaults={"password": unusable, **fields}
    )
    Identity.objects.update_or_create(
        kind="email",
        canonical=email,
        defaults={"user": user, "is_primary": True, "origin": Identity.Origin.IMPORT, "proven_at": timezone.now()},
    )
    # Last: it then follows what is proven. A new address of a user would wait for its first proof.
    user.email = email
    user.save(update_fields=["email"])
    return True


def register_client(client_url: str) -> None:
    """The demo's other site. The command changes what is there: the port may be another one than the last time."""
    call_command("create_oidc_client", *registration.arguments(client_url), stdout=StringIO())
