"""What the package imports is what it asks to be installed."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
BROUGHT_ALONG = {"llvmlite", "triton"}
"""numba and torch pin the version of these that they work with."""


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_every_library_that_is_imported_is_declared_and_the_other_way_round():
    modules = {module for path in (ROOT / "genomix").rglob("*.py") for module in imported(path)}
    libraries = modules - set(sys.stdlib_module_names) - BROUGHT_ALONG - {"genomix"}
    of_module = packages_distributions()
    needed = {of_module[module][0].lower() for module in libraries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert needed == {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}


def test_every_declared_library_has_a_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    declared = {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}
    assert declared <= {name.lower() for name in pins}
