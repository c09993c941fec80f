"""What is asked about a source file: a pure function for each kind of job."""

from __future__ import annotations

import ast
import hashlib
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

# Values that JSON can carry.
Figures = dict[str, Any]

_IMPORT = re.compile(rb"^(?:from[ \t]+([\w.]+)[ \t]+import|import[ \t]+([\w.]+))", re.MULTILINE)

# Python 3.11 and 3.12 keep the depth of the tree that ast.parse builds in one place for all
# threads, and fail with a SystemError when two of them meet there. The lock keeps our own apart;
# but Python itself parses the lines of a traceback that another thread prints.
_parsing = threading.Lock()
_TRIES = 10


def count_lines(source: bytes) -> Figures:
    """How many lines there are."""
    return {"lines": len(source.splitlines())}


def count_words(source: bytes) -> Figures:
    """How many words there are, as blanks part them."""
    return {"words": len(source.split())}


def parse_functions(source: bytes) -> Figures:
    """How many functions, methods and classes are defined; None for each if it is no Python."""
    try:
        tree = _parsed(source)
    except (SyntaxError, ValueError):
        return {"functions": None, "classes": None}
    nodes = list(ast.walk(tree))
    functions = sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    return {"functions": functions, "classes": classes}


def _parsed(source: bytes) -> ast.Module:
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is doubtful in a file is not ours to say
        for _ in range(_TRIES - 1):
            with suppress(SystemError):
                return ast.parse(source)
        return ast.parse(source)


def hash_sha256(source: bytes) -> Figures:
    """The SHA-256 of the file."""
    return {"sha256": hashlib.sha256(source).hexdigest()}


def read_imports(source: bytes) -> Figures:
    """The packages that are imported at the left margin, each once, in order."""
    names = {(match[1] or match[2]).split(b".")[0] for match in _IMPORT.finditer(source)}
    return {"imports": sorted(name.decode("ascii", "replace") for name in names if name)}


def measure_size(source: bytes) -> Figures:
    """How many bytes there are."""
    return {"bytes": len(source)}


def find_longest(source: bytes) -> Figures:
    """The length of the longest line, in bytes."""
    return {"longest": max(map(len, source.splitlines()), default=0)}


FIGURES: Mapping[str, Callable[[bytes], Figures]] = {
    "count.lines": count_lines,
    "count.words": count_words,
    "parse.functions": parse_functions,
    "hash.sha256": hash_sha256,
    "read.imports": read_imports,
    "measure.size": measure_size,
    "find.longest": find_longest,
}
