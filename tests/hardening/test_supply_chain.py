"""What is installed is what was locked, what is built is what lies here, and little else runs beside it."""

import json
import re
import shutil
import tomllib
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import cyclonedx.schema
import jsonschema_rs
import pytest
import sbom
from cyclonedx.output.json import JsonV1Dot6
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from reproduce import build_twice

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
LOCKED = ("run", "build", "compile", "dev", "lock", "sdk")
RECORDED = ROOT / "src" / "headworks" / "extending" / "recorded"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def wanted(name):
    """What a .in file names."""
    lines = (REQUIREMENTS / f"{name}.in").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned(name):
    return sbom.pins((REQUIREMENTS / f"{name}.txt").read_text("utf-8"))


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_with_its_hashes(name):
    pins = pinned(name)

    assert [each for each, (_, hashes) in pins.items() if not hashes] == []
    assert [str(each) for each in wanted(name) if canonicalize_name(each.name) not in pins] == []


def test_a_package_has_one_version_in_all_files():
    versions = {}
    for name in LOCKED:
        for package, (version, _) in pinned(name).items():
            versions.setdefault(package, set()).add(version)

    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_make_installs_nothing_without_its_hash():
    installs = [line for line in MAKEFILE.splitlines() if re.search(r"pip install|\$\(INSTALL\)", line)]
    free = [line for line in installs if "--require-hashes" not in line and "$(INSTALL)" not in line]

    # Ourselves, with what builds us taken from the environment; and the small model, which no check needs.
    assert [line.split("pip ")[1] for line in free] == [
        "install --quiet --no-deps --no-build-isolation --editable .",
        "install --quiet --requirement requirements/model.txt",
    ]
    assert len(installs) - len(free) == 5  # INSTALL itself, and four that use it


def test_the_base_install_has_eight_dependencies_and_they_are_the_locked_ones():
    declared = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    pins = pinned("run")

    assert len(declared) <= 8
    assert {canonicalize_name(each.name) for each in declared} == {
        canonicalize_name(each.name) for each in wanted("run")
    }
    for each in declared:
        version, _ = pins[canonicalize_name(each.name)]
        assert each.specifier.contains(version), f"{each} is locked at {version}"


def test_two_builds_give_the_same_bytes_and_nothing_that_runs_by_itself(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))

    (content,) = build_twice(tree, targets=("wheel",)).values()

    names = zipfile.ZipFile(BytesIO(content)).namelist()
    about = "headworks-0.1.0.dist-info/"
    others = [name for name in names if not (name.startswith("headworks/") and name.endswith(".py"))]
    assert sorted(others) == sorted(
        [
            f"{about}METADATA",
            f"{about}RECORD",
            f"{about}WHEEL",
            f"{about}entry_points.txt",
            "headworks/catalogue/data/LICENSE.genai-prices",
            "headworks/catalogue/data/catalogue.json",
            "headworks/screening/injection/data/classifier.json",
            "headworks/cli/starter/README.md",
            "headworks/cli/starter/gitignore",
            "headworks/cli/starter/headworks.yaml",
            *(f"headworks/extending/recorded/{path.name}" for path in RECORDED.glob("*.json")),
            "headworks/limits/renew.lua",
            "headworks/py.typed",
        ]
    )
    there = {f"headworks/{path.relative_to(ROOT / 'src' / 'headworks')}" for path in (ROOT / "src").rglob("*.py")}
    assert set(names) - set(others) == there


def test_building_runs_no_code_of_ours():
    build = PROJECT["build-system"]

    assert build["build-backend"] == "hatchling.build"
    assert [Requirement(each).name for each in build["requires"]] == ["hatchling"]
    assert "hooks" not in PROJECT["tool"]["hatch"]["build"]
    assert not (ROOT / "setup.py").exists()


def test_the_bill_of_materials_is_valid_complete_and_the_same_each_time():
    made = [JsonV1Dot6(sbom.bill(datetime(2026, 11, 26, tzinfo=UTC))).output_as_string() for _ in range(2)]
    bill = json.loads(made[0])

    assert made[0] == made[1]
    folder = Path(cyclonedx.schema.__file__).parent / "_res"
    known = {
        f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json": json.loads(
            (folder / f"{name}.SNAPSHOT.schema.json").read_text("utf-8")
        )
        for name in ("bom-1.6", "spdx", "jsf-0.82")
    }
    main = next(iter(known.values()))
    registry = jsonschema_rs.Registry(list(known.items()))
    assert [str(error) for error in jsonschema_rs.validator_for(main, registry=registry).iter_errors(bill)] == []
    listed = {(part["name"], part["version"]): part for part in bill["components"] if part["type"] == "library"}
    assert set(listed) == {(name, version) for name, (version, _) in pinned("run").items()}
    for (name, _), part in listed.items():
        (files,) = part["externalReferences"]
        assert [each["content"] for each in files["hashes"]] == sorted(pinned("run")[name][1])
        assert part["licenses"] != [{"license": {"name": "not stated"}}]
    needed = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert len(needed["headworks==0.1.0"]) == len(wanted("run"))
    assert [ref.partition("==")[0] for ref in needed["cffi==" + pinned("run")["cffi"][0]]] == ["pycparser"]
