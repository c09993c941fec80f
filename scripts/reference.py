"""Writes docs/reference.md from the signatures and docstrings of the public names.

python -m scripts.reference
"""

from __future__ import annotations

import enum
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import redisjobs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
HEAD = """# API reference

Made from the docstrings by `python -m scripts.reference`. All names are in `redisjobs` unless
a line says otherwise; what has no name here is not public.
"""
# What a reader looks for first; the others follow in the order of `__all__`.
FIRST = (
    "RedisQueue", "AsyncRedisQueue", "Job", "Status", "Enqueued", "Registry", "Task", "encode",
    "Worker", "Context", "current_context", "CancelReason", "RetryableError",
)  # fmt: skip
# What calls return, and nobody needs to import.
ELSEWHERE = (
    "redisjobs.operations.inspect:Stats",
    "redisjobs.operations.inspect:KindStats",
    "redisjobs.operations.inspect:WorkerStats",
    "redisjobs.operations.check:CheckReport",
    "redisjobs.operations.repair:RepairReport",
    "redisjobs.embedded:EmbeddedServer",
)
# What the package's own parts call. Its users have no business with it.
INTERNAL = {
    "RedisQueue.source", "AsyncRedisQueue.source", "Registry.get", "Registry.version",
    "Worker.use_settings", "Worker.sibling_died", "Context.on_cancel",
    "CheckReport.add", "CheckReport.note", "RepairReport.tell", "RepairReport.note",
    "RepairReport.mode",
}  # fmt: skip
INTERNAL_PARAMETERS = {"parentage"}
WIDEST = 80
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
FIELD = re.compile(r"^(\*{0,2}[\w.]+(?:, [\w.]+)*): +(.*)$")


def page() -> str:
    """The whole page."""
    public = [name for name in redisjobs.__all__ if not name.startswith("__")]
    errors = [name for name in public if _is_error(getattr(redisjobs, name))]
    rest = [name for name in public if name not in errors]
    first = [name for name in FIRST if name in rest]
    entries = [getattr(redisjobs, name) for name in [*first, *sorted(set(rest) - set(first))]]
    entries += [_find(place) for place in ELSEWHERE]
    entries += [getattr(redisjobs, name) for name in errors]
    contents = " · ".join(f"[{one.__name__}](#{one.__name__.lower()})" for one in entries)
    return "\n".join([HEAD, contents, "", *(_entry(one) for one in entries)])


def _find(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _is_error(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__name__ != ("RetryableError")
    )


def _entry(value: Any) -> str:
    lines = [f"## {value.__name__}", ""]
    if not hasattr(redisjobs, value.__name__):
        lines += [f"In `{value.__module__}`.", ""]
    lines += _code(_headline(value))
    lines += _prose(value)
    if isinstance(value, type):
        if (constructor := vars(value).get("__init__")) and constructor.__doc__:
            lines += _prose(constructor)
        for name, member in _members(value):
            shown = f"{value.__name__}.{name}" if isinstance(member, classmethod) else name
            lines += _member(shown, member)
    return "\n".join(lines)


def _headline(value: Any) -> list[str]:
    if not isinstance(value, type):
        return _calls(value.__name__, value)
    if issubclass(value, enum.Enum):
        return [f"{value.__name__}.{one.name} = {_shown(one.value)}" for one in value]
    if typing.is_typeddict(value) or getattr(value, "_is_protocol", False):
        return [f"class {value.__name__}(Protocol)"]
    if _is_error(value) and "__init__" not in vars(value):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        return [f"class {value.__name__}({bases})"]
    return _calls(value.__name__, value)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that this package wrote, those of its bases first."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] == "redisjobs":
            found |= vars(base)
    for name, member in found.items():
        written = isinstance(member, property | classmethod | staticmethod)
        written = written or inspect.isfunction(member)
        if name.startswith("_") or f"{cls.__name__}.{name}" in INTERNAL:
            continue
        if written and inspect.getdoc(getattr(cls, name)):
            yield name, member


def _member(name: str, member: Any) -> list[str]:
    if isinstance(member, property):
        returned = inspect.signature(typing.cast("Callable[..., Any]", member.fget))
        return [f"**`{name}`** → `{_annotation(returned.return_annotation)}`", "", *_prose(member)]
    fn = getattr(member, "__func__", member)
    headline = " <br> ".join(f"**`{call}`**" for call in _calls(name, fn, method=True))
    return [headline, "", *_prose(fn)]


def _calls(name: str, fn: Any, *, method: bool = False) -> list[str]:
    prefix = "await " if inspect.iscoroutinefunction(fn) else ""
    overloads = typing.get_overloads(fn) if inspect.isfunction(fn) else []
    return [f"{prefix}{name}{_signature(one, method)}" for one in overloads or [fn]]


def _signature(fn: Any, method: bool) -> str:
    signature = inspect.signature(fn)
    parameters = list(signature.parameters.values())[1 if method else 0 :]
    parameters = [one for one in parameters if one.name not in INTERNAL_PARAMETERS]
    parts: list[str] = []
    for before, parameter in zip([None, *parameters], parameters, strict=False):
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        starred = before is not None and before.kind in (before.VAR_POSITIONAL, before.KEYWORD_ONLY)
        if keyword and not starred:
            parts.append("*")
        parts.append(_parameter(parameter))
    arrow = "" if isinstance(fn, type) else f" -> {_annotation(signature.return_annotation)}"
    together = ", ".join(parts)
    if not method and len(together) > WIDEST:
        together = "".join(f"\n    {part}," for part in parts) + "\n"
    return f"({together}){arrow}"


def _parameter(parameter: inspect.Parameter) -> str:
    text = str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
    if parameter.annotation is not parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_default(parameter.default)}"
    return text


def _default(value: object) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    return _shown(value)


def _shown(value: object) -> str:
    """As the code of this project would write it."""
    shown = repr(value).replace("'", '"')
    return "…" if shown.startswith("<") else shown


def _annotation(annotation: Any) -> str:
    if isinstance(annotation, typing.ForwardRef):  # of a NamedTuple's fields
        return annotation.__forward_arg__
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "None")
    return str(text).strip("'\"")


def _code(lines: list[str]) -> list[str]:
    return ["```py", *lines, "```", ""]


def _prose(value: Any) -> list[str]:
    """A docstring as Markdown: what stands under `Args:` and the like becomes a list."""
    lines: list[str] = []
    in_section = False
    for line in (inspect.getdoc(value) or "").splitlines():
        if SECTION.match(line):
            in_section = True
            lines += [f"*{line}*", ""]
        elif in_section and line.startswith("    "):
            lines.append(_in_section(textwrap.dedent(line) if line[4] != " " else line[4:]))
        elif line.startswith("    "):
            lines.append(line)  # an example: four spaces are code in Markdown, too
        else:
            in_section = in_section and not line
            lines.append(line)
    return [*lines, ""]


def _in_section(line: str) -> str:
    field = FIELD.match(line)
    if field:
        return f"- `{field[1]}`: {field[2]}"
    return f"  {line.strip()}" if line.startswith(" ") else line


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
