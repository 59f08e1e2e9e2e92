"""Directives that read the references from the code, so that they cannot drift from it: see ``setup``."""

import ast
import inspect
import io
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, get_type_hints

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import load_command_class
from django.utils.translation import override
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from passwordless_auth import checks, conf, exceptions, management, signals, urls
from passwordless_auth.oidc import checks as oidc_checks
from passwordless_auth.oidc import checks_keys as oidc_checks_keys
from passwordless_auth.oidc import conf as oidc_conf
from passwordless_auth.oidc import management as oidc_management
from passwordless_auth.oidc import urls as oidc_urls


class FromCode(SphinxDirective):
    """Writes reStructuredText from the code and hands it to Sphinx. What is of the OpenID provider has a directive of
    its own, with ``oidc-`` before the name."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        with override("en"):
            lines = list(self.lines())
        source = f"<{self.name}>"
        holder = nodes.section()
        holder.document = self.state.document
        self.state.nested_parse(StringList(lines, source=source), 0, holder, match_titles=True)
        return holder.children

    def lines(self) -> Iterator[str]:
        raise NotImplementedError


class _Defaults(oidc_conf.OidcSettings):
    """The settings of a host that set none."""

    def _get(self, name: str, default: Any) -> Any:
        return default


def default_of(name: str) -> str:
    try:
        value = getattr(_Defaults(), name)
    except ImproperlyConfigured as missing:
        required = str(missing).startswith(f"{conf.PREFIX}{name} ")
        return "required" if required else "see below"
    return f"``{value!r}``"


class SettingsFromCode(FromCode):
    """One entry for each property of the settings, under the headings of the source's ``# -- `` comments."""

    settings: ClassVar[type[conf.Settings]] = conf.Settings

    def lines(self) -> Iterator[str]:
        source = inspect.getsource(self.settings)
        for heading, name in re.findall(r"^    # -- (.+)$|^    def ([A-Z][A-Z_]*)\(", source, re.MULTILINE):
            if heading:
                title = heading[0].upper() + heading[1:]
                yield from ("", title, "-" * len(title), "")
                continue
            prop = getattr(self.settings, name)
            kind = inspect.formatannotation(get_type_hints(prop.fget)["return"]).replace("collections.abc.", "")
            yield from (
                f".. py:data:: {conf.PREFIX}{name}",
                "",
                *(f"   {line}" for line in inspect.cleandoc(prop.__doc__).splitlines()),
                "",
                f"   :Type: ``{kind.replace('typing.', '')}``",
                f"   :Default: {default_of(name)}",
                "",
            )


class OidcSettingsFromCode(SettingsFromCode):
    settings = oidc_conf.OidcSettings


class UrlsFromCode(FromCode):
    urls: ClassVar[ModuleType] = urls

    def lines(self) -> Iterator[str]:
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 30 22 48", "")
        yield from ("   * - Path", "     - Name", "     - What it is")
        for pattern in self.urls.urlpatterns:
            view = inspect.cleandoc(pattern.callback.view_class.__doc__ or "")
            first = " ".join(view.partition("\n\n")[0].split())
            yield from (
                f"   * - ``/{pattern.pattern}``",
                f"     - ``{self.urls.app_name}:{pattern.name}``" if pattern.name else "     -",
                f"     - {first}",
            )
        yield ""


class OidcUrlsFromCode(UrlsFromCode):
    urls = oidc_urls


class ErrorsFromCode(FromCode):
    def lines(self) -> Iterator[str]:
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 26 26 48", "")
        yield from ("   * - Code", "     - Class", "     - What a person reads")
        for name, error in vars(exceptions).items():
            if inspect.isclass(error) and issubclass(error, exceptions.PasswordlessError):
                if error is exceptions.PasswordlessError:
                    continue
                yield from (f"   * - ``{error.code}``", f"     - ``{name}``", f"     - {error.detail}")
        yield ""


class SignalsFromCode(FromCode):
    def lines(self) -> Iterator[str]:
        for text, name in re.findall(r"((?:^#: .*\n)+)^(\w+) = Signal", inspect.getsource(signals), re.MULTILINE):
            yield from (f".. py:data:: passwordless_auth.signals.{name}", "")
            yield from (f"   {line.removeprefix('#: ')}" for line in text.splitlines())
            yield ""


class CommandsFromCode(FromCode):
    management: ClassVar[ModuleType] = management

    def lines(self) -> Iterator[str]:
        (folder,) = self.management.__path__
        for module in sorted(info.name for info in pkgutil.iter_modules([f"{folder}/commands"])):
            command = load_command_class(self.management.__package__.rpartition(".")[0], module)
            parser = command.create_parser("manage.py", module)
            ours = [action for action in parser._actions if action.container is not None and not _is_djangos(action)]
            doc = inspect.getdoc(inspect.getmodule(command)) or ""
            yield from ("", f"``{module}``", "-" * (len(module) + 4), "", str(command.help), "")
            if doc:
                yield from (*doc.splitlines(), "")
            usage = io.StringIO()
            for action in ours:
                flag = ", ".join(action.option_strings) or (action.metavar or action.dest).upper()
                usage.write(f"``{flag}``\n   {' '.join(str(action.help or '').split())}\n\n")
            yield from usage.getvalue().splitlines()


class OidcCommandsFromCode(CommandsFromCode):
    management = oidc_management


#: What every command of Django takes.
_DJANGOS = {
    "help",
    "version",
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}


def _is_djangos(action: Any) -> bool:
    return action.dest in _DJANGOS


class ChecksFromCode(FromCode):
    """One row for each ``_error``, ``_warning`` and ``_weak`` of the checks, in the order of their ids."""

    modules: ClassVar[tuple[ModuleType, ...]] = (checks,)

    def lines(self) -> Iterator[str]:
        for module in self.modules:
            yield from (*inspect.cleandoc(module.__doc__ or "").splitlines(), "")
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 16 42 42", "")
        yield from ("   * - Id", "     - What it says", "     - What to do")
        for ident, text, hint in sorted({found for module in self.modules for found in _checks(module)}):
            yield from (f"   * - ``{ident}``", f"     - {_plain(text)}", f"     - {_plain(hint)}")
        yield ""


class OidcChecksFromCode(ChecksFromCode):
    modules = (oidc_checks, oidc_checks_keys)


def _checks(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    tree = ast.parse(inspect.getsource(module))
    named = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    weak = getattr(module, "_weak", checks._weak)
    named["_weak"] = ast.Constant(inspect.signature(weak).parameters["hint"].default)
    yield from _calls(tree, {}, named)


def _calls(node: ast.AST, known: dict[str, Any], named: dict[str, ast.expr]) -> Iterator[tuple[str, str, str]]:
    """Walk the source; a loop over constants is walked once for each of its rounds."""
    if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple) and isinstance(node.iter, ast.Tuple):
        names = [name.id for name in node.target.elts if isinstance(name, ast.Name)]
        for row in node.iter.elts:
            values = row.elts if isinstance(row, ast.Tuple) else [row]
            found = {n: v.value for n, v in zip(names, values, strict=True) if isinstance(v, ast.Constant)}
            for child in node.body:
                yield from _calls(child, known | found, named)
        return
    if isinstance(node, ast.FunctionDef):
        local = {
            child.targets[0].id: child.value
            for child in ast.walk(node)
            if isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Name)
        }
        named = named | local
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"_error", "_warning", "_weak"}
    ):
        number = _said(node.args[0], known, named)
        if number.isdigit():
            letter = "E" if node.func.id == "_error" else "W"
            said = [_said(arg, known, named) for arg in node.args[1:]]
            hint = said[1] if len(said) > 1 else _said(ast.Name("_weak"), known, named)
            yield f"{letter}{int(number):03}", said[0], hint
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, known, named)


def _said(node: ast.expr, known: dict[str, Any], named: dict[str, ast.expr]) -> str:
    """The text of an expression, with an ellipsis for what is known only when it runs."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name) if name in known:
            return str(known[name])
        case ast.Name(id=name) if isinstance(named.get(name), (ast.Constant, ast.JoinedStr)):
            return _said(named[name], known, named)
        case ast.JoinedStr(values=values):
            return "".join(_said(value, known, named) for value in values)
        case ast.FormattedValue(value=value):
            return _said(value, known, named)
    return "…"


def _plain(text: str) -> str:
    """A message as reStructuredText: what stands in backquotes is code, and nothing else means anything."""
    pieces = text.split("`")
    return "".join(
        f"``{piece}``" if odd % 2 else re.sub(r"([\\*_|])", r"\\\1", piece) for odd, piece in enumerate(pieces)
    )


class RowsFromCode(FromCode):
    label: ClassVar[str] = "passwordless_auth"

    def lines(self) -> Iterator[str]:
        for model in apps.get_app_config(self.label).get_models():
            yield from (f"``{model.__name__}``", f"   {' '.join((inspect.getdoc(model) or '').split())}", "")


class OidcRowsFromCode(RowsFromCode):
    label = "passwordless_auth_oidc"


class LayersFromCode(FromCode):
    """The layers of import-linter's contracts, top first."""

    def lines(self) -> Iterator[str]:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
        for contract in project["tool"]["importlinter"]["contracts"]:
            (container,) = contract["containers"]
            yield from (".. code-block:: text", f"   :caption: {container}", "")
            yield from (f"   {layer}" for layer in contract["layers"])
            yield ""


def setup(app: Sphinx) -> dict[str, bool]:
    for name, directive in {
        "settings-from-code": SettingsFromCode,
        "urls-from-code": UrlsFromCode,
        "errors-from-code": ErrorsFromCode,
        "signals-from-code": SignalsFromCode,
        "commands-from-code": CommandsFromCode,
        "checks-from-code": ChecksFromCode,
        "rows-from-code": RowsFromCode,
        "layers-from-code": LayersFromCode,
        "oidc-settings-from-code": OidcSettingsFromCode,
        "oidc-urls-from-code": OidcUrlsFromCode,
        "oidc-commands-from-code": OidcCommandsFromCode,
        "oidc-checks-from-code": OidcChecksFromCode,
        "oidc-rows-from-code": OidcRowsFromCode,
    }.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
