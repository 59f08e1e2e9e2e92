"""The ways to run a module: for which plan, with which response type, and how answers travel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .plans import MODULES, RESPONSE_TYPES


@dataclass(frozen=True)
class Variant:
    plan: str
    response_type: str
    response_mode: str

    @property
    def id(self) -> str:
        return f"{self.plan.lower()}-{self.response_type}-{self.response_mode}"


#: Each plan, and its Form Post twin.
VARIANTS = [
    Variant(plan, response_type, mode)
    for plan, response_types in RESPONSE_TYPES.items()
    for response_type in response_types
    for mode in ("query" if response_type == "code" else "fragment", "form_post")
]

_NAMES = {f"test_{name.replace('-', '_').lower()}": name for name in MODULES}


def module_of(test: str) -> str | None:
    """``test_oidcc_codereuse_30seconds`` is the module oidcc-codereuse-30seconds."""
    return _NAMES.get(test)


def only(*response_types: str) -> Callable[[Any], Any]:
    """For a module that the suite leaves out for the other response types."""

    def decorate(test: Any) -> Any:
        test.response_types = response_types
        return test

    return decorate


def variants_of(test: Any) -> list[Variant]:
    """Those that a test is run with."""
    plans = MODULES[module_of(test.__name__) or ""]
    chosen = getattr(test, "response_types", [variant.response_type for variant in VARIANTS])
    return [variant for variant in VARIANTS if variant.plan in plans and variant.response_type in chosen]
