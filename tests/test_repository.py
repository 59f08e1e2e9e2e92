"""What the repository says of itself is true."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import passwordless_auth
from passwordless_auth.conf import PREFIX, Settings

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "passwordless_auth"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.rst").read_text()


def layers() -> list[set[str]]:
    """The layers of the import contract, top first."""
    contract = PYPROJECT["tool"]["importlinter"]["contracts"][0]
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def modules(names: set[str]) -> Iterator[Path]:
    for name in names:
        yield from PACKAGE.glob(f"{name}.py")
        yield from PACKAGE.glob(f"{name}/**/*.py")


def imports_when_run(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements of a module, without those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from imports_when_run(node)


@pytest.mark.skipif("PASSWORDLESS_AUTH_TEST_INSTALLED" not in os.environ, reason="only where tox installed the wheel")
def test_the_wheel_is_tested_and_not_the_checkout():
    assert "site-packages" in Path(passwordless_auth.__file__).parts


def test_flows_and_what_lies_below_know_no_http():
    order = layers()
    below = order[next(i for i, layer in enumerate(order) if "flows" in layer) :]
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules(set().union(*below))
        for node in imports_when_run(ast.parse(path.read_text()))
        if ast.unparse(node).startswith(("from django.http", "import django.http"))
    ]

    assert offenders == []


def test_no_import_of_our_own_hides_in_a_function():
    """A cycle is mended, not dodged. Only what an ``AppConfig`` does must import late, as Django says."""
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PACKAGE.glob("**/*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and function.name not in {"ready", "import_models"}
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("passwordless_auth"))
    ]

    assert offenders == []


def written_to_session(tree: ast.AST) -> Iterator[ast.AST]:
    """Where something called ``session``, of a request, is given a key, loses one, or is told to change."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="session"), ctx=ast.Store() | ast.Del()):
                yield node
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="session"), attr=name)) if name not in {"get"}:
                yield node
            case ast.Attribute(attr="session", ctx=ast.Store()):
                yield node


def test_two_modules_write_to_the_session_and_one_of_them_logs_in():
    trees = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.glob("**/*.py")}
    ours = {name: tree for name, tree in trees.items() if not name.startswith("testing/")}

    writers = {name for name, tree in ours.items() if any(written_to_session(tree))}
    doors = {name for name, tree in ours.items() if re.search(r"\bauth\.login\(|\bimport login\b", ast.unparse(tree))}

    assert (writers, doors) == ({"sessions.py", "kept_form.py"}, {"sessions.py"})


@pytest.mark.parametrize("module", ["webauthn", "segno", "phonenumbers", "anymail", "django_tasks", "redis"])
def test_the_app_loads_without_what_it_may_not_need(module):
    """Loaded in a process of its own, since our tests load much."""
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); import django; "
        "from django.conf import settings; settings.INSTALLED_APPS.remove('anymail'); django.setup(); "
        f"sys.exit({module!r} in {{name.partition('.')[0] for name in sys.modules}})"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        check=False,
        timeout=60,
    )

    assert done.returncode == 0


def commands() -> list[str]:
    return re.findall(r"^   (python3 -m venv .+)$", README, re.MULTILINE)


def test_the_readme_has_the_two_commands():
    install = "python3 -m venv .venv && .venv/bin/pip install -q tox"

    assert commands() == [f"{install} && .venv/bin/tox run -e demo", f"{install} && .venv/bin/tox run"]


def test_ci_runs_the_command_of_the_readme_to_the_letter():
    assert commands()[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_ci_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_what_is_promised_is_tested():
    """Every Python and Django of the classifiers has a lane."""
    classifiers = PYPROJECT["project"]["classifiers"]
    pythons = {c.split()[-1] for c in classifiers if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", c)}
    djangos = {c.split()[-1] for c in classifiers if re.fullmatch(r"Framework :: Django :: \d\.\d", c)}
    tox = (ROOT / "tox.ini").read_text()

    assert pythons == {"3.11", "3.12", "3.13"}
    for django in djangos:
        assert f"django{django.replace('.', '')}: Django>={django}," in tox
    assert "py{312,313}-django{52,60,61} and py311-django52" in tox


def test_the_changelog_knows_this_version():
    version = passwordless_auth.__version__.removesuffix(".dev0")

    assert re.search(rf"^{re.escape(version)} \(", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)


def test_the_tutorial_and_the_readme_say_the_same_six_lines():
    tutorial = (ROOT / "docs" / "tutorial.rst").read_text()
    blocks = re.findall(r"   :name: (?:settings|urls)\n\n((?:   .*\n)+)", README)

    assert len(blocks) == 2
    for block in blocks:
        assert block in tutorial


def test_every_setting_that_the_readme_names_exists():
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", README))

    assert named
    assert named <= set(vars(Settings))
