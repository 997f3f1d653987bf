"""Build the wheel and the source archive twice, from two copies of the tree, and compare every byte.

    .venv/bin/python tools/reproduce.py --output dist

The copies lie in different folders and their files have different times, as two machines would have it. Times inside
the archives are SOURCE_DATE_EPOCH's (https://reproducible-builds.org/specs/source-date-epoch/): that of the
environment, or of the last commit. What was built is kept only when both are the same; its SHA-256 is printed, to be
compared with what a release offers.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EARLIEST_S = 1_580_601_600
"""2020-02-02, hatchling's own choice: for a tree without a history. A wheel cannot tell times before 1980."""

_NOT_BUILT = shutil.ignore_patterns(".git", ".venv*", "dist", "build", "__pycache__", ".*_cache", ".coverage*", "*.pyc")


def commit_time_s() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH, or when the last commit was made."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdecimal():
        return int(given)
    git = shutil.which("git")
    if git is not None:
        command = [git, "-C", str(ROOT), "log", "-1", "--format=%ct"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - words of ours
        if told.isdecimal():
            return int(told)
    return EARLIEST_S


def build(folder: Path, tree: Path, *, targets: tuple[str, ...], epoch_s: int, aged_s: int) -> dict[str, bytes]:
    """What hatchling makes of a copy of the tree in `folder`, whose files are made `aged_s` seconds older."""
    copy = shutil.copytree(tree, folder / "tree", ignore=_NOT_BUILT)
    for path in copy.rglob("*"):
        before_s = path.stat().st_mtime - aged_s
        os.utime(path, (before_s, before_s))
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder / "built")]
    command += [word for target in targets for word in ("--target", target)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch_s)}
    done = subprocess.run(  # noqa: S603 - words of ours
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(f"the build failed: {done.stderr[-2000:]}")
    return {path.name: path.read_bytes() for path in sorted((folder / "built").iterdir())}


def build_twice(tree: Path, *, targets: tuple[str, ...] = ("wheel", "sdist")) -> dict[str, bytes]:
    """What two builds agree in, by file name.

    Raises:
        ValueError: a build failed, or they differ; names the files.
    """
    epoch_s = commit_time_s()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        one = build(Path(first), tree, targets=targets, epoch_s=epoch_s, aged_s=0)
        other = build(Path(second) / "elsewhere", tree, targets=targets, epoch_s=epoch_s, aged_s=86_400 * 40)
    differing = sorted(name for name in one | other if one.get(name) != other.get(name))
    if differing:
        raise ValueError(f"two builds of the same tree differ in {', '.join(differing)}")
    return one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    built = build_twice(ROOT)
    output.mkdir(parents=True, exist_ok=True)
    for name, content in built.items():
        (output / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {name}")


if __name__ == "__main__":
    main()
