"""Where ``--client-id`` names a client that is there, it is changed: options that are given replace what it had, and
all else stays. So the command can stand in a deployment script and be run at every deployment."""

from __future__ import annotations

import getpass
import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from ....requester import Operator
from ... import clients
from ...conf import settings
from ...forms import CONNECTIONS, GRANTS, RESPONSE_TYPES, ClientForm
from ...models import ClientSettings

#: Option: the field of the form that it fills.
_FIELDS: Final = {
    "name": "name",
    "type": "kind",
    "redirect_uri": "redirect_uris",
    "post_logout_redirect_uri": "post_logout_redirect_uris",
    "web_origin": "allowed_origins",
    "backchannel_logout_uri": "backchannel_logout_uri",
    "grant": "grants",
    "response_type": "response_types",
    "subject_type": "subject_type",
    "connection": "connections",
    "code_lifetime": "code_lifetime",
    "code_tries": "code_tries",
    "first_party": "first_party",
    "no_pkce": "no_pkce",
}
#: Below this a secret can be guessed in the end.
_SHORT: Final = 24


class Command(BaseCommand):
    help = (
        "Make a client of the OpenID provider, or change one, and print its id and, once, its secret. Without "
        "--client-secret a random one is made where the type needs one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        several: dict[str, Any] = {"action": "extend", "nargs": "+", "metavar": "URI"}
        parser.add_argument(
            "--client-id",
            help="any text of up to 255 letters that can be seen, best of a-z, 0-9, - and _; by default a random one",
        )
        parser.add_argument("--client-secret", help="by default a random one; seen by others in the process list")
        parser.add_argument(
            "--name", help="what people read on the page that asks them: up to 80 letters; by default the client id"
        )
        parser.add_argument("--type", choices=ClientSettings.Kind.values, help="what runs it; by default web")
        parser.add_argument(
            "--redirect-uri", **several, help="where people come back to, exactly as the client sends it"
        )
        parser.add_argument(
            "--post-logout-redirect-uri", **several, help="where they may come back to after signing out"
        )
        parser.add_argument("--web-origin", **several, help="from where scripts may call token and userinfo (CORS)")
        parser.add_argument("--backchannel-logout-uri", metavar="URI", help="called when a session ends")
        parser.add_argument(
            "--grant",
            action="extend",
            nargs="+",
            choices=list(GRANTS),
            help="grant types, in the place of those of its type",
        )
        parser.add_argument(
            "--response-type",
            action="extend",
            nargs="+",
            choices=_Words(RESPONSE_TYPES),
            metavar="TYPE",
            help="response types, in the place of code alone: " + ", ".join(RESPONSE_TYPES),
        )
        parser.add_argument(
            "--subject-type", choices=[value for value in ClientSettings.Subject.values if value], help="what sub is"
        )
        parser.add_argument(
            "--connection", action="extend", nargs="+", choices=list(CONNECTIONS), help="how people sign in for it"
        )
        parser.add_argument("--code-lifetime", type=int, metavar="SECONDS", help="at most 600")
        parser.add_argument("--code-tries", type=int, metavar="NUMBER", help="wrong codes, at most 5")
        parser.add_argument("--first-party", action="store_true", default=None, help="people are not asked for consent")
        parser.add_argument("--no-pkce", action="store_true", default=None, help="take codes that came without PKCE")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        client_id = options["client_id"] or ""
        application = clients.load(client_id) if client_id else None
        data = dict(ClientForm(instance=application).initial)
        if application is None:
            data |= {"client_id": client_id, "name": client_id}
        data |= {field: options[name] for name, field in _FIELDS.items() if options[name] is not None}
        data["response_types"] = [" ".join(sorted(each.split())) for each in data["response_types"]]
        form = ClientForm(data, instance=application, secret=self._secret(application, options["client_secret"]))
        if not form.is_valid():
            raise CommandError(_in_words(form))
        with transaction.atomic():
            form.save(commit=False)
            form.write(operator=Operator(_operator(), ""))
        self._tell(form, made=application is None, as_json=options["json"])

    def _secret(self, application: Any | None, secret: str | None) -> str:
        """The secret to give it; "" where it has this one already."""
        if secret is None:
            return ""
        if not secret.isprintable() or not secret:
            raise CommandError("A secret has only letters that can be seen, and at least one.")
        if len(secret) < _SHORT:
            self.stderr.write(f"The secret has less than {_SHORT} letters: leave it out, and a random one is made.")
        if application and clients.check_secret(application, ClientSettings.of(application), secret):
            return ""
        return secret

    def _tell(self, form: ClientForm, *, made: bool, as_json: bool) -> None:
        told = {"client_id": form.instance.client_id}
        if form.new_secret:
            told["client_secret"] = form.new_secret
        told["issuer"] = settings.OIDC_ISSUER
        if as_json:
            self.stdout.write(json.dumps({**told, "made": made}))
            return
        self.stdout.write(f"{'Made' if made else 'Changed'} the client “{form.instance.name}”.")
        for name, value in told.items():
            self.stdout.write(f"{name}: {value}")
        if form.new_secret:
            self.stdout.write("The secret is shown this once: only a digest of it is kept.")


class _Words(list[str]):
    """Response types, whose words come in any order."""

    def __contains__(self, given: object) -> bool:
        return super().__contains__(" ".join(sorted(str(given).split())))


def _in_words(form: ClientForm) -> str:
    options = {field: f"--{name.replace('_', '-')}" for name, field in _FIELDS.items()}
    options |= {"client_id": "--client-id", "__all__": "--client-secret"}
    return "\n".join(
        f"{options.get(field, field)}: {message}" for field, messages in form.errors.items() for message in messages
    )


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
