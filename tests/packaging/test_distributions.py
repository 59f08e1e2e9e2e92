"""What ``tox run -e package`` has built: complete, and nothing beside the package in the wheel."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

import passwordless_auth

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "passwordless_auth"


@pytest.fixture(scope="module")
def dist() -> Path:
    return Path(os.environ["PASSWORDLESS_AUTH_DIST"])


@pytest.fixture(scope="module")
def wheel_names(dist):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("pattern", ["py.typed", "**/*.py", "**/*.html", "**/*.txt", "**/*.css", "**/*.js", "**/*.mo"])
def test_the_wheel_holds_every_such_file_of_the_source(wheel_names, pattern):
    wanted = {path.relative_to(ROOT).as_posix() for path in SOURCE.glob(pattern)}

    assert wanted
    assert wanted <= wheel_names


def test_every_translation_in_the_wheel_is_compiled_too(wheel_names):
    written = {name.removesuffix(".po") for name in wheel_names if name.endswith(".po")}

    assert written
    assert {f"{name}.mo" for name in written} <= wheel_names


def test_the_wheel_holds_the_package_and_nothing_else(wheel_names):
    tops = {name.partition("/")[0] for name in wheel_names}

    assert tops == {"passwordless_auth", f"passwordless_auth-{passwordless_auth.__version__}.dist-info"}


def test_the_sdist_can_be_tested_and_documented_by_itself(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"README.rst", "CHANGELOG.rst", "LICENSE", "tox.ini", "conftest.py", "docs/conf.py"} <= names
    assert any(name.startswith("tests/") for name in names)
    assert "example_project/manage.py" in names
