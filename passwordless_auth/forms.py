"""The forms of a sign-in and of a recovery: an address, and a code."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from . import derivation
from .conf import settings
from .exceptions import CountryNeeded, InvalidAppCode, InvalidCode, InvalidIdentifier, PhoneNeeded
from .identifiers import MAX_LENGTH, Identifier, accept, calling_code, home_country, is_country
from .models.totp import DIGITS


class IdentifierForm(forms.Form):
    """One field, ``identifier``: cleans to an :class:`~passwordless_auth.identifiers.Identifier`. With SMS on, there is
    ``country`` beside it, for a phone number that was typed without its country code.

    ``country_missing``: it was, and nobody can tell the country.
    """

    # Before the field that needs it: fields are cleaned in this order.
    country = forms.CharField(label=_("Country"), max_length=2, required=False)
    identifier = forms.CharField(label=_("E-mail address"), max_length=MAX_LENGTH)

    country_missing = False

    def __init__(self, *args: Any, takes: Collection[str] | None = None, **kwargs: Any) -> None:
        """``takes``: of ``"email"`` and ``"phone"``, what is accepted; ``None``: what this site accepts."""
        super().__init__(*args, **kwargs)
        self.takes = {"email", "phone"} if takes is None else set(takes)

    @property
    def takes_phone(self) -> bool:
        return bool(settings.SMS_COUNTRIES) and "phone" in self.takes

    @property
    def takes_email(self) -> bool:
        return "email" in self.takes or not self.takes_phone

    @property
    def countries(self) -> list[tuple[str, int]]:
        """The countries to choose from, with their calling codes."""
        return [(code, calling_code(code)) for code in sorted(settings.SMS_COUNTRIES)]

    @property
    def preselected(self) -> str:
        """The country that was chosen, else that of the person's language; "" where neither is one of ours."""
        chosen = str(self.data.get("country", "")) if self.is_bound else ""
        return chosen if chosen in settings.SMS_COUNTRIES else home_country(get_language() or "")

    @property
    def asks_country(self) -> bool:
        """Whether the page shows the question: the number needs it, or it was answered and something else is wrong."""
        return self.country_missing or bool(self.is_bound and self.data.get("country"))

    def clean_country(self) -> str:
        country: str = self.cleaned_data["country"].upper()
        return country if is_country(country) else ""

    def clean_identifier(self) -> Identifier:
        country = self.cleaned_data.get("country", "")
        try:
            identifier = accept(self.cleaned_data["identifier"], country=country, language=get_language() or "")
            if identifier.kind == "phone" and not self.takes_phone:
                raise InvalidIdentifier
            if identifier.kind == "email" and not self.takes_email:
                raise PhoneNeeded
            return identifier
        except InvalidIdentifier as refusal:
            self.country_missing = isinstance(refusal, CountryNeeded)
            raise forms.ValidationError(refusal.detail, code=refusal.code) from refusal


class RecoveryForm(IdentifierForm):
    """An address, and a recovery code of its account."""

    code = forms.CharField(label=_("Recovery code"), max_length=64)


class CodeForm(forms.Form):
    """One field, ``code``: cleans to what the person meant. A text of the wrong length can't be the code and costs no
    try."""

    code = forms.CharField(label=_("Code"), max_length=64)
    refusal: ClassVar[type[InvalidCode]] = InvalidCode

    def __init__(self, *args: Any, length: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.length = length

    def clean_code(self) -> str:
        code = derivation.tidy_code(self.cleaned_data["code"])
        if len(code) != self.length:
            raise forms.ValidationError(self.refusal.detail, code=self.refusal.code)
        return code


class AppCodeForm(CodeForm):
    """The same for the code that an authenticator app shows."""

    refusal = InvalidAppCode

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, length=DIGITS, **kwargs)
