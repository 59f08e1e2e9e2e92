"""The page "Become an OpenID provider in ten minutes", kept to the letter but for the ports, which are free ones here."""

import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

from .fresh import ROOT, Browser, block, environment, free_port, listens, run, served, wait_for
from .test_fresh_project import text_of_message

pytestmark = [pytest.mark.package, pytest.mark.slow]

PAGE = ROOT / "docs" / "howto" / "openid-provider.rst"
PERSON = "ada@example.com"


@pytest.fixture(scope="module")
def ports():
    return {"8000": str(free_port()), "5000": str(free_port())}


def with_ports(text, ports):
    for written, free in ports.items():
        text = text.replace(f"localhost:{written}", f"localhost:{free}").replace(f"--port {written}", f"--port {free}")
    return text


@pytest.fixture(scope="module")
def provider(python, project, ports):
    """The project of the README, after the page's first half; and what the last command said."""
    assert block("openid-install", PAGE).strip() == 'python -m pip install "passwordless-auth[oidc]"'
    run(python, "-m", "pip", "install", "--quiet", "django-oauth-toolkit>=3.4.1,<4")  # the extra, of the wheel here
    settings, urls = project / "mysite" / "settings.py", project / "mysite" / "urls.py"
    settings.write_text(with_ports(settings.read_text(), ports) + block("openid-settings", PAGE))
    urls.write_text(urls.read_text() + block("openid-urls", PAGE))
    said = ""
    for line in with_ports(block("openid-client", PAGE), ports).splitlines():
        words = [word.strip('"') for word in re.findall(r'"[^"]+"|\S+', line)]
        assert words[0] == "python"
        said = run(python, *words[1:], cwd=project)
    return project, said


@contextmanager
def application(folder, secret, ports):
    """The page's second half, in an environment of its own."""
    home = folder / "application"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True, timeout=300)
    python = home / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "authlib", "flask", "requests")
    (home / "app.py").write_text(with_ports(block("openid-app", PAGE), ports))
    assignment, _python, *words = with_ports(block("openid-run", PAGE), ports).split()
    assert assignment == "CLIENT_SECRET=…"
    port, log = int(ports["5000"]), home / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, *words],
            cwd=home,
            env={**environment(), "CLIENT_SECRET": secret, "AUTHLIB_INSECURE_TRANSPORT": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: listens(port) or process.poll() is not None, log)
            assert process.poll() is None, log.read_text()
            yield f"http://localhost:{port}/"
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_somebody_signs_in_to_another_application(python, provider, ports, tmp_path):
    project, said = provider
    secret = re.search(r"^client_secret: (\S+)$", said, re.MULTILINE)[1]
    with (
        served(python, project, port=int(ports["8000"])) as (_base, console),
        application(tmp_path, secret, ports) as app,
    ):
        browser = Browser(app)
        assert "Sign in" in browser.open("/")
        browser.open("/login")
        assert "Sign in to The demo" in browser.page
        browser.submit(identifier=PERSON)
        text = wait_for(lambda: text_of_message(console), console)
        browser.submit(code=re.search(r"^[\d ]{6,}$", text, re.MULTILINE)[0])

    assert browser.url == app
    assert browser.page == f"Hello {PERSON}"
