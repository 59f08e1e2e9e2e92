"""Phone numbers, as people type them, have one spelling; what gets no text messages is refused."""

import pytest

from passwordless_auth import exceptions
from passwordless_auth.identifiers import Identifier, accept, home_country, mask, parse

MOBILE = Identifier("phone", "+4915123456789")


@pytest.mark.parametrize(
    "typed",
    [
        "+4915123456789",
        "+49 151 23456789",
        "+49 (0)151 23456789",
        "+49 (151) 234 567 89",
        "+49-151-2345-6789",
        "+49.151.23456789",
        "0049 151 23456789",
        "  +49 151 23456789\n",
        "＋４９ １５１ ２３４５６７８９",  # full width
        "+٤٩ ١٥١ ٢٣٤٥٦٧٨٩",  # Arabic digits
        "\u202a+49 151 23456789\u202c",  # from an address book
        "+49\u00a0151\u200923456789",
        "+49–151–23456789",
    ],
)
def test_a_number_with_its_country_code_has_one_spelling(typed):
    assert parse(typed) == MOBILE


@pytest.mark.parametrize(
    "typed", ["0151 23456789", "0151/23456789", "(0151) 234 567 89", "0151-23456789", "151 23456789"]
)
def test_a_number_as_at_home_is_read_with_the_country(typed):
    assert parse(typed, country="DE") == MOBILE


@pytest.mark.parametrize(
    ("typed", "country", "canonical"),
    [
        ("(202) 555-0123", "US", "+12025550123"),
        ("1 202 555 0123", "US", "+12025550123"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("07400 123456", "GB", "+447400123456"),
        ("0664 1234567", "AT", "+436641234567"),
        ("079 123 45 67", "CH", "+41791234567"),
        ("312 345 6789", "IT", "+393123456789"),
        ("+39 312 345 6789", "", "+393123456789"),
        ("011 15-2345-6789", "AR", "+5491123456789"),
        ("+54 9 11 2345 6789", "", "+5491123456789"),
        ("8 912 345-67-89", "RU", "+79123456789"),
    ],
)
def test_each_country_has_its_own_ways(typed, country, canonical):
    assert parse(typed, country=country).canonical == canonical


def test_a_country_code_wins_over_the_chosen_country():
    assert parse("+49 151 23456789", country="AT") == MOBILE


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ("+49 30 1234567", exceptions.NotMobile),  # a landline
        ("+49 900 1234567", exceptions.NotMobile),  # premium
        ("+49 800 1234567", exceptions.NotMobile),  # free
        ("+49 180 5 123456", exceptions.NotMobile),  # shared cost
        ("+49 700 12345678", exceptions.NotMobile),  # personal
        ("+1 800 555 0199", exceptions.NotMobile),
        ("+1 900 555 0199", exceptions.NotMobile),
        ("+44 70 1234 5678", exceptions.NotMobile),
        ("+54 11 2345 6789", exceptions.NotMobile),  # without the 9 of a mobile number it is a landline's
        ("+882 13300655", exceptions.NotMobile),  # satellites
        ("+800 12345678", exceptions.NotMobile),  # free of charge, of no country
        ("+49 112", exceptions.InvalidPhone),  # an emergency
        ("+1 32665", exceptions.InvalidPhone),  # short
        ("+49 151", exceptions.InvalidPhone),
        ("+49 151 23456789 23456789", exceptions.InvalidPhone),
        ("+49", exceptions.InvalidPhone),
        ("+999 12345678", exceptions.InvalidPhone),
        ("+0 151 23456789", exceptions.InvalidPhone),
        ("12345", exceptions.CountryNeeded),
        ("0151 23456789", exceptions.CountryNeeded),
        ("0", exceptions.CountryNeeded),
    ],
)
def test_what_gets_no_text_messages_is_refused(typed, refusal):
    with pytest.raises(exceptions.InvalidIdentifier) as caught:
        parse(typed)
    assert type(caught.value) is refusal
    assert caught.value.code == "invalid_identifier"


@pytest.mark.parametrize(
    "typed",
    ["", "+", "()", "-", "+49 151 23456789 ext 5", "+49 151 23456789;ext=5", "1-800-FLOWERS", "+49x15123456789", "+49 151\0 23456789",
     "++4915123456789", "1" * 300, "+" + "9" * 250],
)  # fmt: skip
def test_what_is_no_number_is_no_address_either(typed):
    with pytest.raises(exceptions.InvalidIdentifier):
        parse(typed)


@pytest.mark.parametrize("country", ["XX", "de", "", "ZZZ", "\0"])
def test_an_unknown_country_is_none(country):
    with pytest.raises(exceptions.CountryNeeded):
        parse("0151 23456789", country=country)


# -- the country that nobody chose


@pytest.mark.parametrize(
    ("language", "country"),
    [
        ("de", "DE"),
        ("de-at", "AT"),
        ("de_AT", "AT"),
        ("en-us", "US"),
        ("en", ""),
        ("fr", ""),
        ("ar", ""),
        ("", ""),
        ("sv", ""),
    ],
)
def test_the_language_says_the_country_where_it_can(sms, language, country):
    assert home_country(language) == country


def test_a_single_country_needs_no_choice(settings):
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["CH"]

    assert parse("079 123 45 67", language="fr").canonical == "+41791234567"


def test_a_number_that_the_guessed_country_has_not_may_be_of_another(sms):
    with pytest.raises(exceptions.CountryNeeded):
        parse("0664 1234567", language="de")  # Austria's; a landline in Germany
    assert parse("0664 1234567", country="AT", language="de").canonical == "+436641234567"


def test_where_there_is_one_country_only_the_refusal_is_of_the_number(settings):
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["DE"]

    with pytest.raises(exceptions.NotMobile):
        parse("030 1234567")


# -- what a door takes


def test_without_countries_a_door_takes_no_number():
    with pytest.raises(exceptions.InvalidIdentifier) as caught:
        accept("+4915123456789")
    assert type(caught.value) is exceptions.InvalidIdentifier


def test_a_door_takes_the_numbers_of_its_countries_only(sms):
    assert accept("+4915123456789") == MOBILE
    for number in ("+33612345678", "+447911123456", "+18765551234", "+447781123456"):  # France, Guernsey twice, Jamaica
        with pytest.raises(exceptions.CountryNotServed):
            accept(number)


def test_a_calling_code_is_no_country(settings):
    settings.PASSWORDLESS_AUTH_SMS_COUNTRIES = ["GB"]

    assert accept("+447400123456").country == "GB"
    with pytest.raises(exceptions.CountryNotServed):
        accept("+447781123456")  # Guernsey: the same code, another price


@pytest.mark.parametrize("typed", ["ada", "call me", "ada.example.com"])
def test_what_is_neither_is_told_that_both_are_taken(sms, typed):
    with pytest.raises(exceptions.NeitherAddress):
        accept(typed)


def test_a_broken_mail_address_is_told_as_before(sms):
    with pytest.raises(exceptions.InvalidIdentifier) as caught:
        accept("ada@")
    assert type(caught.value) is exceptions.InvalidIdentifier


# -- how it is shown


def test_a_number_is_masked_to_its_code_and_two_digits():
    assert mask("+4915123456789") == "+49•••89"
    assert mask("+12025550123") == "+1•••23"
    assert mask("+foo@example.com") == "+•••@e•••.com"


def test_a_number_is_shown_in_groups():
    assert MOBILE.display == "+49 1512 3456789"
    assert MOBILE.country == "DE"
    assert MOBILE.channel == "sms"
    assert Identifier("email", "ada@example.com").display == "ada@example.com"
    assert Identifier("email", "ada@example.com").country == ""
    assert Identifier("email", "ada@example.com").channel == "email"
