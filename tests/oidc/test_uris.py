"""What a client may register as an address."""

import pytest
from django.core.exceptions import ValidationError

from passwordless_auth.oidc import uris

RIGHT = [
    "https://rp.example/cb",
    "https://rp.example",
    "https://rp.example:8443/cb?tenant=1&x=%20",
    "https://RP.example/Callback",
    "https://[2001:db8::1]/cb",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:3000/cb",
    "http://[::1]:3000/cb",
    "http://localhost:3000/cb",
]
OF_NATIVE_APPS = ["com.example.app:/cb", "com.example.app://cb/x", "de.example.my-app:/"]
WRONG = {
    "fragment": ["https://rp.example/cb#here", "https://rp.example/cb#", "com.example.app:/cb#x"],
    "list each one": ["https://*.rp.example/cb", "https://rp.example/*", "https://rp.example/cb?x=*"],
    "not encrypted": [
        "http://rp.example/cb",
        "http://127.0.0.2/cb",
        "http://localhost.rp.example/",
        "http://10.0.0.1/",
    ],
    "no host": [
        "https:///cb",
        "https:/cb",
        "https://rp.example:/",
        "https:cb",
        "https://ada@rp.example/",
        "https://localhost:x@rp.example/",
    ],
    "begin with a scheme": ["/cb", "rp.example/cb", "//rp.example/cb", "", "HTTPS://rp.example/cb"],
    "letters": [
        "https://müller.example/cb",
        "https://rp.example/ü",
        "https://rp.example/a b",
        "https://rp.example/%zz",
        "https://rp.example/%",
        "https://rp.example/\0",
        "https://rp.example/\n",
        "https://rp.example\\@evil.example/",
    ],
    "read as an address": ["https://rp.example:99999/cb", "https://rp.example:x/cb", "https://[::1/cb"],
    "too long": ["https://rp.example/" + "x" * 2000],
}


def refusal(check, uri, **options):
    with pytest.raises(ValidationError) as refused:
        check(uri, **options)
    (message,) = refused.value.messages
    return message


@pytest.mark.parametrize("uri", RIGHT)
def test_a_redirect_uri_that_is_right(uri):
    uris.check_redirect_uri(uri)
    uris.check_redirect_uri(uri, is_native=True)


@pytest.mark.parametrize(("why", "uri"), [(why, uri) for why, found in WRONG.items() for uri in found])
@pytest.mark.parametrize("is_native", [False, True])
def test_one_that_is_not_says_why(why, uri, is_native):
    if uri in ("", "https://rp.example/\n"):  # never in a list
        why = "letters"
    assert why in refusal(uris.check_redirect_uri, uri, is_native=is_native)


@pytest.mark.parametrize("uri", OF_NATIVE_APPS)
def test_a_scheme_of_its_own_is_for_native_apps(uri):
    uris.check_redirect_uri(uri, is_native=True)

    assert "native apps" in refusal(uris.check_redirect_uri, uri)


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "myapp:/cb", "about:blank", "ftp://x/y"]
)
def test_a_scheme_that_is_nobodys_is_refused(uri):
    assert "turned round" in refusal(uris.check_redirect_uri, uri, is_native=True)


@pytest.mark.parametrize(
    "origin", ["https://rp.example", "https://rp.example:8443", "http://localhost:3000", "https://[::1]:3000"]
)
def test_an_origin_that_is_right(origin):
    uris.check_origin(origin)


@pytest.mark.parametrize(
    ("origin", "example"),
    [
        ("https://rp.example/", "https://rp.example."),
        ("https://rp.example/app", "https://rp.example."),
        ("https://rp.example?", "https://rp.example."),
        ("https://rp.example:443", "https://rp.example."),
        ("https://RP.example:444", "https://rp.example:444."),
        ("http://[::1]:3000/", "http://[::1]:3000."),
        ("com.example.app://x", "https://"),
        ("null", "https://"),
    ],
)
def test_one_that_is_more_says_how_to_write_it(origin, example):
    assert example in refusal(uris.check_origin, origin)


def test_pages_may_have_a_fragment_and_endpoints_not():
    uris.check_web_uri("https://rp.example/terms#privacy")

    assert "fragment" in refusal(uris.check_endpoint_uri, "https://rp.example/logout#x")
    assert "https" in refusal(uris.check_web_uri, "javascript:alert(1)")
    assert "not encrypted" in refusal(uris.check_endpoint_uri, "http://rp.example/logout")


def test_where_https_is_asked_for_this_machine_is_no_exception():
    uris.check_endpoint_uri("http://localhost:3000/start")

    assert "https" in refusal(uris.check_https_uri, "http://localhost:3000/start")


def test_lines_are_taken_apart_and_each_is_kept_once():
    assert uris.lines(" https://a.example/ \r\n\nhttps://b.example/\thttps://a.example/ ") == [
        "https://a.example/",
        "https://b.example/",
    ]
