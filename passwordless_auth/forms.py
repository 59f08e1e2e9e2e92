"""The forms of a sign-in and of a recovery: an address, and a code."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from . import derivation
from .exceptions import InvalidAppCode, InvalidCode, InvalidIdentifier
from .identifiers import MAX_LENGTH, Identifier, accept, is_country
from .models.totp import DIGITS


class IdentifierForm(forms.Form):
    """One field, ``identifier``: cleans to an :class:`~passwordless_auth.identifiers.Identifier`. ``country`` is asked
    for where a phone number was typed without its country code; ``country_needed`` then says so."""

    # Before the field that needs it: fields are cleaned in this order.
    country = forms.CharField(label=_("Country"), max_length=2, required=False)
    identifier = forms.CharField(label=_("E-mail address"), max_length=MAX_LENGTH)

    def clean_country(self) -> str:
        country: str = self.cleaned_data["country"].upper()
        return country if is_country(country) else ""

    def clean_identifier(self) -> Identifier:
        country = self.cleaned_data.get("country", "")
        try:
            return accept(self.cleaned_data["identifier"], country=country, language=get_language() or "")
        except InvalidIdentifier as refusal:
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
