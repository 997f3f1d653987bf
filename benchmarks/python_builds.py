"""Which Python runs the gateway, and how it was built: an unoptimised build costs 1.6 times as much and more."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.targets import CannotMeasure

_REPOSITORY = Path(__file__).resolve().parent.parent
_VENV = _REPOSITORY / "benchmarks" / ".venv"
_SYSTEM_PYTHON = Path("/usr/bin/python3")
_COMPILING = _REPOSITORY / "tools" / "compiling" / "compiling.py"
SOURCE = _REPOSITORY / "src"
_FITS = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"


class PythonBuild(msgspec.Struct, frozen=True):
    """An interpreter as the report names it.

    Attributes:
        loop_ms: the best of a few runs of a fixed loop in pure Python, to compare builds by.
        is_compiled: Headworks' hot path is.
    """

    executable: str
    version: str
    is_optimised: bool
    reason: str
    loop_ms: float
    is_compiled: bool


def gateway_python() -> Path:
    """An interpreter that has Headworks installed as it is released: with its hot path compiled, given a C compiler.

    Made from BENCH_PYTHON if that is set, else from the system's own Python (an optimised build on Debian), in a
    virtual environment of the benchmarks. Where neither can make one, the interpreter that runs this.

    Raises CannotMeasure when BENCH_PYTHON is set and does not fit, or when installing fails.
    """
    wanted = os.environ.get("BENCH_PYTHON")
    base = Path(wanted) if wanted else _SYSTEM_PYTHON
    if not base.exists() or subprocess.run([base, "-c", _FITS], capture_output=True, check=False).returncode:
        if wanted:
            raise CannotMeasure(f"BENCH_PYTHON={wanted} is no Python 3.11 or newer with venv and ensurepip")
        return Path(sys.executable)
    requirements = _REPOSITORY / "requirements"
    python = environment(
        base, _VENV, *(["--requirement", str(requirements / f"{name}.txt")] for name in ("run", "compile"))
    )
    _install(python)
    return python


def _install(python: Path) -> None:
    """Put the package on its path: what was compiled of the sources that lie here, or these themselves."""
    package = SOURCE
    if shutil.which("cc"):
        package = _VENV / "compiled"
        sources = hashlib.sha256()
        for path in (_COMPILING, *sorted(SOURCE.rglob("*.py"))):
            sources.update(path.read_bytes())
        stamp = _VENV / "compiled-from"
        if not (stamp.exists() and stamp.read_text() == sources.hexdigest()):
            print("benchmarks: compiling ...", file=sys.stderr)
            run_install([str(python), str(_COMPILING), "--output", str(package)])
            # As `pip install` does; without it, each start would compile everything anew where nothing may be written.
            run_install([str(python), "-m", "compileall", "-q", str(package)])
            stamp.write_text(sources.hexdigest())
    told = subprocess.run([python, "-c", _SITE], capture_output=True, text=True, check=True).stdout.strip()
    (Path(told) / "headworks.pth").write_text(f"{package}\n")


def environment(base: Path, folder: Path, *installs: list[str]) -> Path:
    """The interpreter of a virtual environment with these `pip install` arguments done, made or renewed as needed."""
    # "--no-deps" and "--editable" say nothing of what a requirements file holds, so its text is part of the mark.
    texts = [Path(word).read_text() for words in installs for word in words if word.endswith(".txt")]
    mark = hashlib.sha256(json.dumps([str(base.resolve()), installs, texts]).encode()).hexdigest()
    stamp = folder / "made-for"
    python = folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == mark and python.exists():
        return python
    print(f"benchmarks: making {folder} with {base} ...", file=sys.stderr)
    run_install([str(base), "-m", "venv", "--clear", str(folder)])
    for words in installs:
        run_install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words])
    stamp.write_text(mark)
    return python


def describe(python: Path) -> PythonBuild:
    """What an interpreter says about itself."""
    done = subprocess.run([str(python), "-c", _SELF_PORTRAIT], capture_output=True, text=True, check=True)
    portrait = json.loads(done.stdout)
    if "--enable-optimizations" in portrait["arguments"]:
        is_optimised, reason = True, "configured with --enable-optimizations"
    elif portrait["base"] == "/usr":
        # Debian and Fedora profile their builds with rules of their own, which sysconfig does not show.
        is_optimised, reason = True, "the distribution's own build"
    else:
        is_optimised, reason = False, "configured without --enable-optimizations"
    return PythonBuild(
        executable=str(python),
        version=portrait["version"],
        is_optimised=is_optimised,
        reason=reason,
        loop_ms=portrait["loop_ms"],
        is_compiled=not portrait["origin"].endswith(".py"),
    )


def run_install(command: list[str]) -> None:
    """Run a command with low priority. Raises CannotMeasure with the end of what it said when it fails."""
    done = subprocess.run(["nice", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")


_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"

_SELF_PORTRAIT = """
import importlib.util
import json, sys, sysconfig, timeit
def work():
    d = {}
    for i in range(20000):
        d[i & 255] = len(str(i)) + d.get(i & 127, 0)
print(json.dumps({
    "version": sys.version.split()[0],
    "arguments": sysconfig.get_config_var("CONFIG_ARGS") or "",
    "base": sys.base_prefix,
    "origin": importlib.util.find_spec("headworks.unary").origin,
    "loop_ms": round(min(timeit.repeat(work, number=5, repeat=7)) / 5 * 1000, 3),
}))
"""
