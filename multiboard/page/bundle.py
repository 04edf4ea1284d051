"""The modules of the page as one script, and its style sheets as one: for pages that load nothing, and for the tab.

Not a general bundler: the modules keep to some rules, and a line that breaks them is an error. Imports are
`import { a, b as c } from "./file.js";`, exports stand before `function`, `async function`, `const` or `class` at the start of a
line, no module imports one that imports it, and no text contains what would end a script element.
"""

from __future__ import annotations

import posixpath
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

STATIC: Final = Path(__file__).parent / "static"
STYLES: Final = ("vendor/uplot.css", "style.css")
_PAGE: Final = "app.js"
_TAB: Final = "index.js"
_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:(?:async )?function\*? ?|const |class )([\w$]+))", re.MULTILINE)
_REFUSED: Final = re.compile(r"^(?:import|export)\b|\bimport\(|</script|<script|<!--", re.MULTILINE | re.IGNORECASE)
_COMMENT: Final = re.compile(r"^[ \t]*(?://.*|/\*(?!!)[^*]*(?:\*(?!/)[^*]*)*\*/[ \t]*)$", re.MULTILINE)
_BLANK: Final = re.compile(r"\n[ \t\n]*")


class BundleError(ValueError):
    """A module of the page that breaks the rules of this bundler."""

    def __init__(self, file: str, line: str, rule: str) -> None:
        super().__init__(f"{file}: {line.strip()!r}: {rule}")


@cache
def module() -> str:
    """Return all modules as one module, which exports what the tab is started with."""
    return f"{script(entry=_TAB)}\nexport const render = multiboard.render;\n"


@cache
def script(static: Path = STATIC, entry: str = _PAGE) -> str:
    """Return modules as one script, which defines `multiboard` with what one of them exports.

    Args:
        static: the directory of the modules.
        entry: the one that imports the others.

    Raises:
        BundleError: a module breaks the rules.
    """
    modules: dict[str, str] = {}
    _collect(static, entry, modules, ())
    numbers = {name: f"m{number}" for number, name in enumerate(modules)}
    parts = [_IMPORT.sub(partial(_bound, name, numbers), text) for name, text in modules.items()]
    scopes = [f"const {numbers[name]}=(()=>{{\n{_exported(part)}\n}})();" for name, part in zip(modules, parts, strict=True)]
    return "\n".join(['const multiboard=(()=>{"use strict";', *scopes, f"return {numbers[entry]};", "})();"])


@cache
def style(static: Path = STATIC) -> str:
    """Return all style sheets as one."""
    text = "\n".join(_short(static.joinpath(name).read_text("utf-8")) for name in STYLES)
    if "</style" in text.lower():
        raise BundleError("style.css", "</style", "it would end the style element")
    return text


def _collect(static: Path, name: str, modules: dict[str, str], above: tuple[str, ...]) -> None:
    """Add a module behind all that it imports."""
    if name in above:
        raise BundleError(above[-1], f"import of {name}", "modules must not import each other in a circle")
    if name in modules:
        return
    text = _short(static.joinpath(name).read_text("utf-8"))
    for found in _IMPORT.finditer(text):
        _collect(static, _target(found, name), modules, (*above, name))
    _check(name, text)
    modules[name] = text


def _check(name: str, text: str) -> None:
    rest = _EXPORT.sub("", _IMPORT.sub("", text))
    refused = _REFUSED.search(rest)
    if refused:
        line = rest[refused.start() :].partition("\n")[0]
        raise BundleError(name, line[:120], "this bundler does not know how to carry it over")
    for line in text.split("\n"):
        if line.count("`") % 2:
            raise BundleError(name, line[:120], "a template must end on the line on which it begins")


def _target(found: re.Match[str], name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))


def _bound(name: str, numbers: dict[str, str], found: re.Match[str]) -> str:
    """Return the constants that an import stands for."""
    return f"const {{{','.join(_names(found[1]))}}}={numbers[_target(found, name)]};"


def _names(listed: str) -> Iterator[str]:
    for one in listed.split(","):
        name, _, own = one.strip().partition(" as ")
        if name:
            yield f"{name}:{own}" if own else name


def _exported(text: str) -> str:
    names = [found[1] for found in _EXPORT.finditer(text)]
    return f"{_EXPORT.sub('', text)}\nreturn {{{','.join(names)}}};"


def _short(text: str) -> str:
    """Return a text without indentation, empty lines, and lines that are comments only; imports become one line."""
    text = _BLANK.sub("\n", _COMMENT.sub("", text)).strip()
    return re.sub(r"^import \{[^}]*\}", lambda found: " ".join(found[0].split()), text, flags=re.MULTILINE)
