"""The README kept to the letter: an empty Django project, the built wheel, six lines, and a person signs in."""

import email
import email.policy
import json
import re
from pathlib import Path

import pytest

from .fresh import Browser, run, served, wait_for

pytestmark = [pytest.mark.package, pytest.mark.slow]

PERSON = "ada@example.com"


def text_of_message(console: Path) -> str | None:
    """The plain part of the first message that the console e-mail backend has printed whole."""
    found = re.search(r"^Content-Type: multipart/.*?(?=^-{79}$)", console.read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        return None
    message = email.message_from_string(found[0], policy=email.policy.default)
    assert message["To"] == PERSON
    return message.get_body(("plain",)).get_content()


def test_six_lines_make_a_sound_project(python, project):
    assert "no issues" in run(python, "manage.py", "check", cwd=project)
    assert "No changes" in run(python, "manage.py", "makemigrations", "--check", cwd=project)


def test_a_person_signs_in_to_an_empty_project(python, project):
    run(python, "manage.py", "migrate", "--verbosity", "0", cwd=project)
    with served(python, project) as (base, console):
        browser = Browser(base)
        browser.open("/login/")
        browser.submit(identifier=PERSON)
        text = wait_for(lambda: text_of_message(console), console)
        code = re.search(r"^[\d ]{6,}$", text, re.MULTILINE)
        assert code, text
        browser.submit(code=code[0])
        session = json.loads(browser.open("/login/session.json"))

    assert session["authenticated"] is True
    assert session["user"]["email"] == PERSON
    assert session["level"] == "single"
