"""What may be compiled, and how a wheel is made of it."""

import ast
import csv
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from platform_wheel import platform_tag, with_libraries

from compiling import MODULES

SOURCE = Path(__file__).parents[2] / "src" / "headworks"
STRUCTS = {"OpenCall", "Work"}
"""Of compiled modules: mutable, never compared, and with the options of their base."""


def classes(module):
    """The names of a module's classes, each with its bases."""
    return re.findall(r"^class (\w+)(?:\(([^)]*)\))?:", (SOURCE / module).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("module", MODULES)
def test_a_compiled_module_holds_no_struct(module):
    """mypyc loses the keywords of its class statement, and compares two of a class by identity."""
    structs = {name for name, bases in classes(module) if "Struct" in bases or "Untracked" in bases}

    assert structs <= STRUCTS


@pytest.mark.parametrize("module", MODULES)
def test_no_slice_of_a_compiled_module_begins_before_its_text_does(module):
    """mypyc's slices of bytes fail where they begin behind their end: `data[start - 1 : start]` at 0."""
    slices = [node for node in ast.walk(ast.parse((SOURCE / module).read_text("utf-8"))) if isinstance(node, ast.Slice)]
    less = [ast.unparse(one) for one in slices if one.lower and re.fullmatch(r"\w+ - \d+", ast.unparse(one.lower))]

    assert less == []


def test_no_class_is_derived_from_a_compiled_one_outside_of_what_is_compiled():
    compiled = {name for module in MODULES for name, _ in classes(module)} - STRUCTS
    others = [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")]
    derived = [
        (module, name)
        for module in others
        if module not in MODULES
        for name, bases in classes(module)
        if compiled & {base.strip() for base in bases.split(",")}
    ]

    assert derived == []


def test_a_platforms_wheel_is_the_pure_one_and_the_libraries(tmp_path):
    pure = io.BytesIO()
    with zipfile.ZipFile(pure, "w") as archive:
        archive.writestr("headworks/__init__.py", "")
        archive.writestr("headworks/unary.py", "def f() -> int:\n    return 1\n")
        archive.writestr(
            "headworks-9.9.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("headworks-9.9.dist-info/METADATA", "Metadata-Version: 2.1\nName: headworks\nVersion: 9.9\n")
        archive.writestr("headworks-9.9.dist-info/RECORD", "")

    tag = platform_tag()
    made = with_libraries(pure.getvalue(), {"headworks/unary.x.so": b"\x7fELF"}, tag)

    assert made == with_libraries(pure.getvalue(), {"headworks/unary.x.so": b"\x7fELF"}, tag)
    archive = zipfile.ZipFile(io.BytesIO(made))
    rows = {row[0] for row in csv.reader(archive.read("headworks-9.9.dist-info/RECORD").decode().splitlines())}
    assert rows == set(archive.namelist())
    wheel = tmp_path / f"headworks-9.9-{tag}.whl"
    wheel.write_bytes(made)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        tmp_path / "to",
    ]
    subprocess.run([*install, wheel], check=True)  # pip holds tag and hashes against what is there
    assert (tmp_path / "to" / "headworks" / "unary.x.so").read_bytes() == b"\x7fELF"
