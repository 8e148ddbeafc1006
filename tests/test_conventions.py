"""Conventions are kept by a test, not by reviewers."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "biounet"
MODULES = sorted(
    ".".join(("biounet", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if path.name != "__main__.py"
)
LONGEST_BODY = 40
LONGEST_MODULE = 320


def public_functions() -> list[tuple[str, object]]:
    """Every function that a module lists in ``__all__`` and defines itself."""
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        for entry in getattr(module, "__all__", ()):
            thing = getattr(module, entry)
            if inspect.isfunction(thing) and thing.__module__ == name:
                found.append((f"{name}.{entry}", thing))
    return found


@pytest.mark.parametrize("name", [name for name in MODULES if name != "biounet.cli"])
def test_public_names_are_listed(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    assert hasattr(module, "__all__"), f"{name} does not say what is public; ruff keeps the list sorted"


@pytest.mark.parametrize(
    ("name", "function"), public_functions(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_signature(name, function):
    parameters = list(inspect.signature(function).parameters.values())
    optional = [parameter for parameter in parameters if parameter.default is not parameter.empty]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in optional), "options are keyword-only"
    assert "rng" not in [parameter.name for parameter in parameters[1:]], "a function that draws takes rng first"
    assert function.__doc__, f"{name} has no docstring"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE, f"{path.name} is too long: split it by idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= LONGEST_BODY, f"{path.name}: {node.name} has {lines} lines: split it by idea"


def test_importing_biounet_imports_no_torch():
    code = "import sys, biounet; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
