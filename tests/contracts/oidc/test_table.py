"""The table in the documentation (reference/oidc) names every module, and says "passes" of what has a test."""

import ast
import re
from pathlib import Path

import pytest

from .plans import MODULES
from .variants import module_of

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "reference" / "oidc.rst"


def rows():
    """Module -> its plans, its state."""
    found = re.findall(r"^   \* - ``(oidcc-[\w-]+)``\n     - (.+)\n     - (.+)$", PAGE.read_text(), re.MULTILINE)
    table = {name: (tuple(plans.split(", ")), state) for name, plans, state in found}
    assert len(table) == len(found)
    return table


def with_a_test():
    """The modules that a test here is named after."""
    functions = [
        node.name
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    return {module_of(name) for name in functions} - {None}


def test_the_table_has_every_module_with_its_plans():
    assert {name: plans for name, (plans, _state) in rows().items()} == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_what_the_table_says_of_a_module_is_so(name):
    state = rows()[name][1]

    assert re.match(r"passes|not offered|kept, and not shown", state)
    assert (name in with_a_test()) is (state.startswith("passes") or state.endswith("(tested)"))


def test_of_the_plans_that_we_aim_at_every_module_has_a_test():
    aimed_at = {"Basic", "Implicit", "Hybrid", "Config", "RP-Initiated Logout", "Back-Channel Logout"}

    assert {name for name, plans in MODULES.items() if aimed_at & set(plans)} <= with_a_test()
