"""The German texts are complete, fresh and compiled, and people who ask for German see them.

How the catalogue is refreshed, in the folder ``passwordless_auth``::

    django-admin makemessages -l de --no-location --no-obsolete
    django-admin compilemessages -l de
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.core.management import call_command

import passwordless_auth
from passwordless_auth.testing import outbox

from .views.pages import Page

PACKAGE = Path(passwordless_auth.__file__).parent
EXAMPLE = Path(__file__).parents[1] / "example_project"
CATALOGUE = Path("locale", "de", "LC_MESSAGES", "django")
ADA = "ada@example.com"
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|</?\w+[^>]*>")


@dataclass
class Entry:
    """One text of a catalogue. ``ids`` and ``texts`` have two values where a number decides."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        return [self.values[name] for name in ("msgid", "msgid_plural") if name in self.values]

    @property
    def texts(self) -> list[str]:
        return [text for name, text in sorted(self.values.items()) if name.startswith("msgstr")]

    @property
    def key(self) -> str:
        """What names the text in a compiled catalogue."""
        context = self.values.get("msgctxt")
        return ("" if context is None else f"{context}\x04") + "\0".join(self.ids)


def read_po(path: Path) -> list[Entry]:
    entries = []
    for block in re.split(r"\n{2,}", path.read_text(encoding="utf-8").strip()):
        entry, name = Entry(), ""
        for line in block.splitlines():
            if line.startswith("#"):
                assert not line.startswith("#~"), f"obsolete: {line}"
                if line.startswith("#,"):
                    entry.flags |= {flag.strip() for flag in line[2:].split(",")}
                continue
            word, quote, rest = line.partition('"')
            name = word.strip() or name
            entry.values[name] = entry.values.get(name, "") + ast.literal_eval(quote + rest)
        entries.append(entry)
    return entries


def read_mo(path: Path) -> dict[str, str]:
    """The format is described in the manual of GNU gettext, "The Format of GNU MO Files"."""
    data = path.read_bytes()
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    count, ids, texts = struct.unpack_from(f"{order}8x3I", data)

    def text(table: int, number: int) -> str:
        length, start = struct.unpack_from(f"{order}2I", data, table + 8 * number)
        return data[start : start + length].decode()

    return {text(ids, number): text(texts, number) for number in range(count)}


def without_dates(header: str) -> str:
    """Newer versions of gettext leave the date out of what they compile."""
    return re.sub(r"^POT-Creation-Date:.*\n", "", header, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def german() -> list[Entry]:
    header, *entries = read_po(PACKAGE / CATALOGUE.with_suffix(".po"))
    assert header.ids == [""]
    return entries


# -- the catalogue


def test_the_header_says_german_with_two_forms_of_number():
    (header,) = read_po(PACKAGE / CATALOGUE.with_suffix(".po"))[0].texts

    assert "Language: de\n" in header
    assert "Plural-Forms: nplurals=2; plural=(n != 1);\n" in header
    assert "charset=UTF-8\n" in header
    for unfilled in ("PACKAGE", "YEAR", "FULL NAME", "LANGUAGE"):
        assert unfilled not in header


def test_every_text_is_translated_and_none_is_a_guess(german):
    assert len(german) > 200
    assert [entry.key for entry in german if not all(entry.texts)] == []
    assert [entry.key for entry in german if "fuzzy" in entry.flags] == []
    assert [entry.key for entry in german if len(entry.texts) != len(entry.ids)] == []


def test_what_is_filled_in_is_the_same_in_both_languages(german):
    """Placeholders, and the HTML around them."""
    for entry in german:
        for name, text in zip(entry.ids, entry.texts, strict=True):
            assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(name)), name
            assert (text[:1].isspace(), text[-1:].isspace()) == (name[:1].isspace(), name[-1:].isspace()), name


def test_the_compiled_catalogue_is_the_written_one():
    written = {entry.key: "\0".join(entry.texts) for entry in read_po(PACKAGE / CATALOGUE.with_suffix(".po"))}
    compiled = read_mo(PACKAGE / CATALOGUE.with_suffix(".mo"))

    assert without_dates(compiled.pop("")) == without_dates(written.pop(""))
    assert compiled == written


def test_the_catalogue_has_every_text_of_the_package_and_no_other(tmp_path, monkeypatch, german):
    missing = [tool for tool in ("xgettext", "msguniq", "msgmerge", "msgattrib") if shutil.which(tool) is None]
    if missing and not os.environ.get("PASSWORDLESS_AUTH_REQUIRE_SERVICES"):
        pytest.skip(f"needs {', '.join(missing)}")
    assert not missing
    copy = tmp_path / "passwordless_auth"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(copy)

    call_command("makemessages", locale=["de"], no_location=True, no_obsolete=True, verbosity=0)

    _header, *refreshed = read_po(copy / CATALOGUE.with_suffix(".po"))
    assert {entry.key for entry in refreshed} == {entry.key for entry in german}
    assert {entry.key: entry.texts for entry in refreshed} == {entry.key: entry.texts for entry in german}


def test_the_example_uses_the_same_words(german):
    example = {entry.key: entry.texts for entry in read_po(EXAMPLE / CATALOGUE.with_suffix(".po"))}
    shared = {entry.key: entry.texts for entry in german if entry.key in example}

    assert {"Sign in", "Sign out", "Your account"} <= shared.keys()
    assert shared == {key: example[key] for key in shared}


# -- what people see


def see(browser, path, data=None):
    """A page in German, whose words are read."""
    response = browser.get(path, headers=GERMAN) if data is None else browser.submit(path, data, headers=GERMAN)
    if response.status_code == 303:
        response = browser.get(response["Location"], headers=GERMAN)
    page = Page(response)
    assert page.language == "de"
    return page


@pytest.mark.django_db
def test_the_sign_in_page_speaks_german(browser):
    page = see(browser, "/login/")

    assert page.name == "login"
    assert "Bei Testserver anmelden" in page.words
    assert "E-Mail-Adresse" in page.words
    assert "Nachricht anfordern" in page.words


@pytest.mark.django_db
def test_the_waiting_page_speaks_german(browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "1/60s"
    page = see(browser, "/login/", {"identifier": ADA})

    assert page.name == "wait"
    assert "Sehen Sie in Ihr Postfach" in page.words
    assert "6 Ziffern. Lesen Sie sie niemandem vor." in page.words
    assert re.search(r"Wieder möglich in [0-9]+ Sekunden\.", page.words)


@pytest.mark.django_db
def test_a_wrong_code_is_told_in_german_with_the_right_number(browser):
    see(browser, "/login/", {"identifier": ADA})
    wrong = "000000" if outbox.last_code(ADA) != "000000" else "111111"

    assert "Sie haben noch 2 Versuche." in see(browser, "/login/wait/", {"code": wrong}).words
    page = see(browser, "/login/wait/", {"code": wrong})
    assert "Das ist nicht der Code aus der neuesten Nachricht. Sie haben noch 1 Versuch." in page.words


@pytest.mark.django_db
def test_the_error_page_speaks_german(browser, clock):
    see(browser, "/login/", {"identifier": ADA})
    clock.shift(3600)
    page = see(browser, "/login/wait/")

    assert (page.name, page.code) == ("error", "expired")
    assert "Die Zeit ist abgelaufen" in page.words
    assert "Eine Nachricht gilt nur wenige Minuten." in page.words
    assert "Neue Nachricht anfordern" in page.words


@pytest.mark.django_db
def test_the_pages_of_a_member_speak_german(browser):
    browser.sign_in()

    assert "Ihr Konto Sie sind angemeldet als ada@example.com." in see(browser, "/account/").words
    page = see(browser, "/account/sessions/")
    assert "Chrome auf Windows" in page.words
    assert "Zuletzt benutzt" in page.words
    assert "Beenden" in page.words


@pytest.mark.django_db
def test_the_message_speaks_german(browser, clock):
    see(browser, "/login/", {"identifier": ADA})
    message = outbox.last_message(ADA)
    ((html, _kind),) = message.alternatives

    assert message.subject == f"{outbox.last_code(ADA)} ist Ihr Anmeldecode für Testserver"
    for part in (message.body, html):
        assert "Diese Nachricht gilt nur einmal, und nur 5 Minuten lang." in part
        assert "1. Mai 2026 12:00 UTC" in part
        assert "Waren Sie das nicht?" in part
    assert "Angefordert von: Chrome auf Windows" in message.body.splitlines()
