"""What a client is, and the rules for it: one form, for the admin, the command and dynamic registration."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from ..conf import settings as site
from ..models import Level
from ..models.event import record
from ..requester import Operator, Requester
from . import _dot, claims, clients, keys, uris
from .conf import settings
from .models import ClientSettings
from .requests import can_be_kept

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]  # generic for the type checker only
else:
    ModelForm = forms.ModelForm

Kind = ClientSettings.Kind
AuthMethod = ClientSettings.AuthMethod

#: Longer ones are typed wrong.
MOST_DIGITS: Final = 10

KINDS: Final = {
    Kind.WEB: _("Web application: pages that a server makes; it keeps a secret"),
    Kind.SPA: _("Single-page application: a script in the browser; it keeps no secret"),
    Kind.NATIVE: _("Native application: on a phone or a computer; it keeps no secret"),
    Kind.M2M: _("Machine: a program that acts for itself, without people"),
}
RESPONSE_TYPES: Final = {
    "code": _("code: the right one for all new clients"),
    "code id_token": _("code id_token: an ID token through the browser as well (hybrid)"),
    "code token": _("code token: an access token through the browser as well (hybrid)"),
    "code id_token token": _("code id_token token: both through the browser as well (hybrid)"),
    "id_token": _("id_token: an ID token through the browser alone (implicit)"),
    "id_token token": _("id_token token: both through the browser alone (implicit)"),
    "token": _("token: an access token through the browser alone (implicit)"),
    "none": _("none: the answer says only that the person agreed"),
}
GRANTS: Final = {
    "authorization_code": _("authorization_code: a person signs in"),
    "refresh_token": _("refresh_token: what a person allowed goes on"),
    "client_credentials": _("client_credentials: the client acts for itself, without a person"),
}
CONNECTIONS: Final = {"email": _("e-mail"), "sms": _("text message"), "passkey": _("passkey")}

#: With these the client sends its secret.
_BY_SECRET: Final = frozenset({AuthMethod.BASIC, AuthMethod.POST})
_WITH_SECRET: Final = _BY_SECRET | {AuthMethod.SECRET_JWT}
#: The members of a JWK that nobody but its owner may have (RFC 7518 §6).
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LEAST_RSA_BITS: Final = 2048


class Lines(forms.CharField):
    """A list, written down line by line; each entry is looked at."""

    def __init__(self, *, rows: int = 3, **options: Any) -> None:
        options.setdefault("required", False)
        super().__init__(widget=forms.Textarea({"rows": rows, "cols": 80, "spellcheck": "false"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else "\n".join(value)

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, list) else uris.lines(super().to_python(value) or "")


class Address(forms.CharField):
    """One address, checked as the client's others are."""

    def __init__(self, check: Callable[[str], None], **options: Any) -> None:
        self.check = check
        super().__init__(max_length=uris.LONGEST, required=False, **options)
        self.widget.attrs |= {"size": 60, "spellcheck": "false"}

    def run_validators(self, value: Any) -> None:
        super().run_validators(value)
        if value:
            self.check(value)


class Keys(forms.CharField):
    """Public keys, as a JWK Set (RFC 7517 §5)."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea({"rows": 6, "cols": 80, "spellcheck": "false"})
        super().__init__(widget=widget, required=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=1) if isinstance(value, Mapping) else value

    def to_python(self, value: Any) -> Any:
        if value in (None, "") or isinstance(value, Mapping):
            return value or None
        try:
            return json.loads(str(value))
        except (ValueError, RecursionError):
            raise ValidationError(_("This is not JSON.")) from None

    def validate(self, value: Any) -> None:
        if value is not None:
            check_keys(value)


def check_keys(jwks: Any) -> None:
    """Whether it is a JWK Set of public keys that can be used. Raises ValidationError."""
    if not can_be_kept(jwks):
        raise ValidationError(_("This is not JSON."))
    members = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(members, list) or not members or not all(isinstance(member, Mapping) for member in members):
        raise ValidationError(_("This is not a set of keys: {“keys”: […]}."))
    for member in members:
        # SECURITY: a private key that was sent to us is no secret any more, and who sent it should learn that now.
        if member.keys() & _PRIVATE:
            raise ValidationError(_("This set has a private key, or a secret. Give the public keys alone."))
        try:
            key = JWK(**member)
            weak = member.get("kty") == "RSA" and key.export_to_pem() and _rsa_bits(key) < _LEAST_RSA_BITS
        except (JWException, TypeError, ValueError):
            raise ValidationError(_("A key of this set can’t be read.")) from None
        if weak:
            raise ValidationError(_("An RSA key of this set has less than 2048 bits."))


def _rsa_bits(key: JWK) -> int:
    return int(key.get_op_key("verify").key_size)


def connections_here() -> list[str]:
    """Of the connections those that this site has."""
    by_message = {"magic_link", "one_time_code"} & set(site.METHODS)
    found = ["email"] if by_message else []
    if by_message and site.SMS_COUNTRIES:
        found.append("sms")
    if "passkey" in site.METHODS:
        found.append("passkey")
    return found


class ClientForm(ModelForm):
    """A client: its Application and its ClientSettings, of which ``save()`` writes both.

    ``secret``: the one to give it; by default one is made where it needs one and has none. After ``save()``, or
    ``apply()``, ``new_secret`` is the secret that it was given, for the last time anybody sees it.
    """

    class Meta:
        model = _dot.get_application_model()
        fields: ClassVar[list[str]] = []

    kind = forms.ChoiceField(label=_("Kind"), choices=list(KINDS.items()), widget=forms.RadioSelect)
    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        widget=forms.TextInput({"size": 60}),
        help_text=_("People read it: “… wants to sign you in”."),
    )
    client_id = forms.CharField(
        label=_("Client id"),
        max_length=255,
        required=False,
        widget=forms.TextInput({"size": 60, "spellcheck": "false"}),
        help_text=_("Once the client is made, it stays as it is."),
    )
    redirect_uris = Lines(
        label=_("Redirect URIs"),
        help_text=_("Where people come back to after signing in, one in a line, exactly as the client sends it."),
    )
    post_logout_redirect_uris = Lines(
        label=_("Post-logout redirect URIs"), rows=2, help_text=_("Where people may come back to after signing out.")
    )
    allowed_origins = Lines(
        label=_("Allowed origins"),
        rows=2,
        help_text=_("From where scripts may call token and userinfo (CORS): scheme and host alone."),
    )
    backchannel_logout_uri = Address(
        uris.check_endpoint_uri,
        label=_("Back-channel logout URI"),
        help_text=_("Our server calls it when a session of one of its people ends."),
    )
    initiate_login_uri = Address(
        uris.check_https_uri, label=_("Login initiation URI"), help_text=_("Where the client begins a sign-in.")
    )

    client_uri = Address(uris.check_web_uri, label=_("Home page"))
    logo_uri = Address(uris.check_web_uri, label=_("Logo"))
    policy_uri = Address(uris.check_web_uri, label=_("Privacy policy"))
    tos_uri = Address(uris.check_web_uri, label=_("Terms of service"))
    accent_color = forms.CharField(
        label=_("Colour"),
        required=False,
        max_length=7,
        validators=[RegexValidator(r"^#[0-9A-Fa-f]{6}\Z", _("Write a colour as #1a73e8."))],
        help_text=_("Of the button on the page that asks people: #1a73e8."),
    )

    first_party = forms.BooleanField(
        label=_("Belongs to this site"),
        required=False,
        help_text=_("People are not asked what it may know: only for clients of your own."),
    )
    connections = forms.MultipleChoiceField(
        label=_("Connections"),
        required=False,
        choices=list(CONNECTIONS.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("How people may sign in for it. None chosen: by all that this site has."),
    )
    message = forms.ChoiceField(
        label=_("A message has"), choices=ClientSettings.Message.choices, required=False, initial=""
    )
    code_lifetime = forms.IntegerField(
        label=_("Life of codes and links, in seconds"),
        required=False,
        validators=[MinValueValidator(60), MaxValueValidator(clients.MOST_SECONDS)],
        help_text=_("At most 600. Empty: as the site has it."),
    )
    code_length = forms.IntegerField(
        label=_("Length of codes"),
        required=False,
        validators=[MinValueValidator(clients.LEAST_DIGITS), MaxValueValidator(MOST_DIGITS)],
        help_text=_("From 6 to 10. Empty: as the site has it."),
    )
    code_tries = forms.IntegerField(
        label=_("Wrong codes"),
        required=False,
        validators=[MinValueValidator(1), MaxValueValidator(clients.MOST_TRIES)],
        help_text=_("After so many a code is worth nothing; at most 5. Empty: as the site has it."),
    )
    minimum_level = forms.ChoiceField(
        label=_("Minimum level"),
        required=False,
        choices=[
            ("", _("no more than the site asks")),
            *((level.value, level.label) for level in Level if level.meets(Level.SINGLE)),
        ],
        help_text=_("Who has proven less is asked for more before the client hears of them."),
    )

    auth_method = forms.ChoiceField(
        label=_("Authentication at the token endpoint"),
        required=False,
        choices=[("", _("what is right for its kind")), *AuthMethod.choices],
    )
    jwks = Keys(label=_("Public keys of the client"), help_text=_("A JWK Set, for assertions signed by its key."))
    id_token_alg = forms.ChoiceField(label=_("Signature of ID tokens"), required=False)
    subject_type = forms.ChoiceField(
        label=_("What people are called (sub)"), required=False, choices=ClientSettings.Subject.choices
    )
    refresh = forms.ChoiceField(
        label=_("Refresh tokens"), required=False, choices=ClientSettings.Refresh.choices, initial="offline_access"
    )
    grants = forms.MultipleChoiceField(
        label=_("Grant types"),
        required=False,
        choices=list(GRANTS.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: those of its kind."),
    )
    response_types = forms.MultipleChoiceField(
        label=_("Response types"),
        required=False,
        choices=list(RESPONSE_TYPES.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "Whatever comes through the browser can leak from it: histories, logs, other scripts. Switch implicit and "
            "hybrid response types on only for an older client that knows nothing else (RFC 9700 §2.1.2)."
        ),
    )
    no_pkce = forms.BooleanField(
        label=_("PKCE not required"),
        required=False,
        help_text=_(
            "A stolen code is then worth something to whoever has the client’s secret. Only for an older client that "
            "sends none (RFC 9700 §2.1.1). A client without a secret always needs PKCE."
        ),
    )

    def __init__(self, *args: Any, secret: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.given_secret = secret
        self.new_secret = ""
        known = self.instance.pk is not None
        self.settings = ClientSettings.of(self.instance) if known else ClientSettings(application=self.instance)
        self.fields["id_token_alg"].choices = [(alg, alg) for alg in keys.algorithms()]  # type: ignore[attr-defined]
        self.fields["client_id"].disabled = known
        told = {
            "kind": Kind.WEB,
            "client_id": self.instance.client_id,
            "response_types": ["code"],
            "refresh": ClientSettings.Refresh.OFFLINE_ACCESS,
        }
        self.initial.update(_initial_of(self.instance, self.settings) if known else told)
        self.initial.update(options.get("initial") or {})

    # -- what is right by itself

    def clean_name(self) -> str:
        """SECURITY: people decide by the name. It can't hide letters or turn them round."""
        name = " ".join(self.cleaned_data["name"].split())
        if not name.isprintable():
            raise ValidationError(_("A name has only letters that can be seen."))
        return name

    def clean_client_id(self) -> str:
        given: str = self.cleaned_data["client_id"] or self.instance.client_id
        if not given.isprintable() or given != given.strip():
            raise ValidationError(_("An id has only letters that can be seen, and no space around them."))
        taken = type(self.instance).objects.filter(client_id=given).exclude(pk=self.instance.pk)
        if taken.exists():
            raise ValidationError(_("There is a client with this id."))
        return given

    def clean_allowed_origins(self) -> list[str]:
        return self._checked("allowed_origins", uris.check_origin)

    def _checked(self, name: str, check: Callable[[str], None]) -> list[str]:
        listed: list[str] = self.cleaned_data[name]
        if faults := uris.faults(listed, check):
            raise ValidationError(faults)
        return listed

    def clean_id_token_alg(self) -> str:
        return self.cleaned_data["id_token_alg"] or "RS256"

    def clean_refresh(self) -> str:
        return self.cleaned_data["refresh"] or ClientSettings.Refresh.OFFLINE_ACCESS

    # -- what is right together

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = self.cleaned_data
        kind = data.get("kind")
        if kind is None:
            return data
        self._clean_uris(kind)
        self._clean_authentication(kind)
        self._clean_switches(kind)
        self._clean_sign_in()
        return data

    def _clean_uris(self, kind: str) -> None:
        check = partial(uris.check_redirect_uri, is_native=kind == Kind.NATIVE)
        for name in ("redirect_uris", "post_logout_redirect_uris"):
            for fault in uris.faults(self.cleaned_data.get(name, ()), check):
                self.add_error(name, fault)
        listed = self.cleaned_data.get("redirect_uris")
        if listed and kind == Kind.M2M:
            self.add_error("redirect_uris", _("Nobody comes back to a machine: leave this empty."))
        elif listed == [] and kind != Kind.M2M:
            self.add_error("redirect_uris", _("Without one, nobody can come back from signing in."))

    def _clean_authentication(self, kind: str) -> None:
        is_public = kind in {Kind.SPA, Kind.NATIVE}
        method = self.cleaned_data.get("auth_method") or (AuthMethod.NONE if is_public else AuthMethod.BASIC)
        self.cleaned_data["auth_method"] = method
        if is_public and method != AuthMethod.NONE:
            self.add_error(
                "auth_method", _("What runs on people’s devices keeps no secret: its kind has no authentication.")
            )
        if not is_public and method == AuthMethod.NONE:
            self.add_error("auth_method", _("What runs on a server authenticates itself. Choose how."))
        if self.given_secret and method not in _WITH_SECRET:
            self.add_error(None, _("A client that authenticates without a secret has none."))
        by_key = method == AuthMethod.PRIVATE_KEY_JWT
        if by_key and "jwks" in self.cleaned_data and not self.cleaned_data["jwks"]:
            self.add_error("jwks", _("Assertions are checked by these keys: give at least one."))

    def _clean_switches(self, kind: str) -> None:
        grants = self.cleaned_data.get("grants", [])
        types = self.cleaned_data.get("response_types", [])
        if kind == Kind.M2M:
            self.cleaned_data["response_types"] = []
            if set(grants) - {"client_credentials"}:
                self.add_error("grants", _("A machine acts for itself: client_credentials alone."))
            return
        if not types:
            self.cleaned_data["response_types"] = ["code"]
        if kind != Kind.WEB and "client_credentials" in grants:
            self.add_error("grants", _("Only a client with a secret can act for itself."))
        if kind != Kind.WEB and self.cleaned_data.get("no_pkce"):
            self.add_error("no_pkce", _("A client without a secret always needs PKCE."))

    def _clean_sign_in(self) -> None:
        connections = self.cleaned_data.get("connections", [])
        missing = [str(CONNECTIONS[name]) for name in connections if name not in connections_here()]
        if missing:
            self.add_error("connections", _("This site does not have: {names}.").format(names=", ".join(missing)))
        level = self.cleaned_data.get("minimum_level")
        if level == Level.PHR and connections and "passkey" not in connections:
            self.add_error("minimum_level", _("This level takes a passkey, which is not among the connections."))

    def _post_clean(self) -> None:
        """SECURITY: nothing is asked of ``Application.clean()``, which has one list of schemes for all clients, and
        knows other keys. All that it asks is asked above."""

    # -- writing

    def save(self, commit: bool = True) -> Any:
        self.apply()
        if commit:
            self.write(operator=Operator("", ""))
        return self.instance

    def save_m2m(self) -> None:
        """The admin asks for it; a client has no such relations."""

    @sensitive_variables()
    def apply(self) -> None:
        """Put what was asked for into the two rows, and give the client a secret where it needs one."""
        data, application, client = self.cleaned_data, self.instance, self.settings
        had = client.auth_method if application.pk is not None else None
        sector = claims.sector_of(client) if application.pk is not None else ""
        public = data["kind"] in {Kind.SPA, Kind.NATIVE}
        application.name, application.client_id = data["name"], data["client_id"]
        for name in ("redirect_uris", "post_logout_redirect_uris", "allowed_origins"):
            setattr(application, name, " ".join(data[name]))
        application.skip_authorization = data["first_party"]
        application.client_type = application.CLIENT_PUBLIC if public else application.CLIENT_CONFIDENTIAL
        application.authorization_grant_type = _grant_of(application, data["kind"], data["response_types"])
        application.algorithm = application.NO_ALGORITHM  # which key signs, ClientSettings says
        for name in _OF_SETTINGS:
            setattr(client, name, data[name])
        client.requires_pkce = not data["no_pkce"]
        if not client.sector_identifier and (client.subject_type or settings.OIDC_SUBJECT) == "pairwise":
            # Written down once: with another first address, all its people would be strangers to it.
            client.sector_identifier = sector or claims.sector_of(client)
        if client.auth_method != AuthMethod.SECRET_JWT:
            client.secret_sealed = ""
        if self._needs_secret(had):
            self._give_secret()

    def _needs_secret(self, had: str | None) -> bool:
        method = self.settings.auth_method
        if self.given_secret:
            return True
        if method not in _WITH_SECRET:
            return had != method
        if method in _BY_SECRET:
            return had not in _WITH_SECRET
        return had != AuthMethod.SECRET_JWT  # for that one the secret itself is kept, encrypted

    @sensitive_variables()
    def _give_secret(self) -> None:
        secret = self.given_secret or secrets.token_urlsafe(48)
        self.instance.hash_client_secret = True
        clients.set_secret(self.instance, self.settings, secret)
        # Who has none gets one that nobody knows: an empty one would open django-oauth-toolkit's own endpoints.
        self.new_secret = secret if self.settings.auth_method in _WITH_SECRET else ""

    def renew_secret(self, *, operator: Operator, requester: Requester | None = None) -> None:
        """Give the client another secret now; the old one is worth nothing any more."""
        self._give_secret()
        self.write(operator=operator, requester=requester)

    def write(self, *, operator: Operator, requester: Requester | None = None) -> None:
        """Write both rows, and that it was done."""
        made = self.instance.pk is None
        with transaction.atomic():
            self.instance.save()
            self.settings.application = self.instance
            self.settings.save()
            facts = {"client_id": self.instance.client_id, "operator": operator.name[:150]}
            if made:
                record("client_made", requester=requester, **facts)
            elif self.is_bound and self.changed_data:
                record("client_changed", requester=requester, **facts, fields=sorted(self.changed_data))
            if self.new_secret:
                record("client_secret_made", requester=requester, **facts)


_OF_SETTINGS: Final = (
    "kind",
    "grants",
    "response_types",
    "auth_method",
    "jwks",
    "id_token_alg",
    "subject_type",
    "refresh",
    "connections",
    "message",
    "code_lifetime",
    "code_length",
    "code_tries",
    "minimum_level",
    "backchannel_logout_uri",
    "initiate_login_uri",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "accent_color",
)


def _initial_of(application: Any, client: ClientSettings) -> dict[str, Any]:
    listed = ("redirect_uris", "post_logout_redirect_uris", "allowed_origins")
    return {
        "name": application.name,
        "client_id": application.client_id,
        **{name: getattr(application, name).split() for name in listed},
        "first_party": application.skip_authorization,
        **{name: getattr(client, name) for name in _OF_SETTINGS},
        "no_pkce": not client.requires_pkce,
    }


def _grant_of(application: Any, kind: str, response_types: Iterable[str]) -> str:
    """What django-oauth-toolkit calls it, which has one name for all that a client may do."""
    if kind == Kind.M2M:
        return str(application.GRANT_CLIENT_CREDENTIALS)
    words = [set(each.split()) for each in response_types]
    if any("code" in each and len(each) > 1 for each in words):
        return str(application.GRANT_OPENID_HYBRID)
    if words and not any("code" in each for each in words):
        return str(application.GRANT_IMPLICIT)
    return str(application.GRANT_AUTHORIZATION_CODE)
