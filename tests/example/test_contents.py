"""What the inbox takes from a message."""

import pytest

from example_project.inbox.contents import code_in, link_in

LINK = "https://example.com/login/link/ab_c-1/"


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ('<p>Your code</p><p class="code">123 456</p>', "123456"),
        ('<td class="box code ink"><b>123</b>&nbsp;<span>456</span></td> 999', "123456"),
        ('<p class="code">12<br>34<img src=x></p><p>56</p>', "1234"),
        ('<p class="code">WDJB-MJHT</p>', "WDJBMJHT"),
        ('<p class="barcode">123456</p>', None),
        ('<p class="code"></p>', None),
        ("", None),
    ],
)
def test_the_code_is_what_the_marked_element_holds(html, code):
    assert code_in("", html) == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("123456", "123456"),
        ("  012 345  ", "012345"),
        ("1234", "1234"),
        ("WDJB-MJHT", "WDJBMJHT"),
        ("WDJBMJ", "WDJBMJ"),
        ("HELLO", None),
        ("5 minutes", None),
        ("42", None),
        ("2026-11-24 10:00", None),
    ],
)
def test_without_it_the_code_is_alone_on_its_line(line, code):
    assert code_in(f"Your code for 2026:\n\n{line}\n\nNever read it to anyone.", "<p>no mark</p>") == code


def test_the_marked_element_is_believed_first():
    assert code_in("111111", '<b class="code">222222</b>') == "222222"


def test_the_link_is_taken_whole():
    assert link_in(f"Open\n{LINK}\nthen", "") == LINK


def test_the_link_of_a_message_without_text_is_taken_from_its_html():
    assert link_in("", f'<a href="https://example.com/">home</a><a href="{LINK}">Sign in</a>') == LINK


def test_other_links_are_none():
    assert link_in("https://example.com/login/", '<a href="https://example.com/login/">Sign in</a>') is None
