"""What people type is parsed to one spelling, or refused."""

import pytest

from passwordless_auth.exceptions import InvalidIdentifier
from passwordless_auth.identifiers import Identifier, mask, parse


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace@Example.COM", "ada.lovelace@example.com"),
        ("  ada@example.com\t\n", "ada@example.com"),
        ("ada+lists@example.com", "ada+lists@example.com"),
        ("a.d.a@gmail.com", "a.d.a@gmail.com"),  # dots are Google's business: we must not merge two people's accounts
        ("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"),  # full width
        ("ada@example。com", "ada@example.com"),  # the ideographic full stop
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@intranet.test", "ada@intranet.test"),
    ],
)
def test_one_mailbox_has_one_spelling(typed, canonical):
    assert parse(typed) == Identifier("email", canonical)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ada",
        "ada@",
        "@example.com",
        "ada@@example.com",
        "ada@localhost",
        "ada@example.com.",
        ".ada@example.com",
        "ada..l@example.com",
        "ada@-example.com",
        "ada@exam_ple.com",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        '"ada l"@example.com',
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "ada@example.com,eve@example.net",  # CVE-2022-35924
        "ada@example.com;eve@example.net",
        "ada@example.com eve@example.net",
        "ada@example.com\r\nBcc: eve@example.net",
        "ada@example.com\0",
        "ada\u200b@example.com",
        "ada\u202e@example.com",
        "ädä@example.com",
        "а" + "da@example.com",  # a Cyrillic а
        "a@" + ".".join(["b" * 61] * 4) + ".example",
        "a" * 5000 + "@example.com",
    ],
)
def test_what_is_not_one_plain_address_is_refused(typed):
    with pytest.raises(InvalidIdentifier) as refused:
        parse(typed)

    assert refused.value.code == "invalid_identifier"


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("ada@example.com", "a•••@e•••.com"),
        ("a@b.co.uk", "a•••@b•••.uk"),
        ("ada@intranet", "a•••@i•••"),
    ],
)
def test_a_masked_address_shows_neither_the_rest_nor_its_length(address, masked):
    assert mask(address) == masked
    assert Identifier("email", address).masked == masked


def test_the_mailbox_is_offered_only_where_the_address_says_whose_it_is():
    assert parse("ada@gmail.com").mailbox == ("Gmail", "https://mail.google.com/")
    assert parse("ada@example.com").mailbox is None
    assert parse("ada@gmail.com.example.com").mailbox is None
