"""Compile the modules of the hot path with mypyc, into a copy of the package.

    .venv/bin/python tools/compiling/compiling.py --output build/compiled

The copy has each compiled module beside its source; Python takes the compiled one. Nothing else differs: the same
source, typed as it is, is what runs without a compiler, only that a plain call then costs nearly twice as much.

What is compiled is what a plain call and a streamed chunk run through, and what compiled code calls most: between two
compiled modules a call is a call in C. Modules that only hold `msgspec.Struct`s and Protocols gain nothing.
"""

import argparse
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

MODULES = (
    "access/door.py",
    "access/grant.py",
    "access/ring.py",
    "admitting.py",
    "answering.py",
    "flow.py",
    "gateway.py",
    "headers.py",
    "limiting.py",
    "limits/expecting.py",
    "limits/headers.py",
    "limits/holding.py",
    "limits/splitting.py",
    "outcome.py",
    "planning.py",
    "records/journal.py",
    "routing/breaker.py",
    "routing/health.py",
    "routing/retrying.py",
    "screening/injection/canary.py",
    "screening/injection/characters.py",
    "screening/injection/detecting.py",
    "screening/privacy/answering.py",
    "screening/privacy/checks.py",
    "screening/privacy/detectors/banking.py",
    "screening/privacy/detectors/cards.py",
    "screening/privacy/detectors/contact.py",
    "screening/privacy/detectors/documents.py",
    "screening/privacy/detectors/health.py",
    "screening/privacy/detectors/names.py",
    "screening/privacy/detectors/national_eu.py",
    "screening/privacy/detectors/national_in_br.py",
    "screening/privacy/detectors/national_us_uk.py",
    "screening/privacy/detectors/network.py",
    "screening/privacy/detectors/secrets.py",
    "screening/privacy/detectors/wallets.py",
    "screening/privacy/engines.py",
    "screening/privacy/finding.py",
    "screening/privacy/judging.py",
    "screening/privacy/restoring.py",
    "screening/privacy/shadow.py",
    "screening/privacy/spreading.py",
    "screening/privacy/tokens.py",
    "screening/steps.py",
    "server/connection.py",
    "server/known_head.py",
    "server/reply.py",
    "settlement.py",
    "streaming.py",
    "transport/connection.py",
    "transport/flight.py",
    "transport/pool.py",
    "transport/tunnel.py",
    "unary.py",
    "weighing.py",
    "wheel.py",
)
"""Below src/headworks."""

GROUP = "headworks"
"""All compiled code lies in one library, `headworks__mypyc`; the modules are doors to it."""

_SCRATCH = "c"
"""Below the output, and by a relative path: what is made must not know where it was made."""

_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so")


def compile_package(source: Path, into: Path) -> list[Path]:
    """Copy the package `source` below `into` and compile MODULES there; the libraries that were made.

    Raises:
        SystemExit: a module does not pass mypy, or the compiler failed; what they said is on standard error.
        ImportError: mypy or setuptools is not installed.
    """
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    shutil.copytree(source, into / source.name, ignore=_NOT_COPIED)
    with _within(into):
        _build([f"{source.name}/{module}" for module in MODULES])
        for made in (_SCRATCH, "build", ".mypy_cache"):
            shutil.rmtree(made, ignore_errors=True)
    return sorted(into.rglob("*.so"))


def _build(paths: list[str]) -> None:
    # Only who compiles needs them.
    from mypyc.build import mypycify
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    class BuildInParallel(build_ext):
        """One compiler a core: setuptools runs one after another for the files of one library."""

        def build_extension(self, ext: Extension) -> None:
            one_after_another = self.compiler.compile

            def compile_all(sources: Sequence[str], **options: Any) -> list[str]:
                with ThreadPoolExecutor(os.cpu_count()) as threads:
                    made = threads.map(lambda source: one_after_another([source], **options), sources)
                    return [path for paths in made for path in paths]

            self.compiler.compile = compile_all
            try:
                super().build_extension(ext)
            finally:
                self.compiler.compile = one_after_another

    extensions = mypycify(
        # What is only imported is checked elsewhere, and need not be complete here: extras may be missing.
        [f"--config-file={ROOT / 'pyproject.toml'}", "--follow-imports=silent", "--ignore-missing-imports", *paths],
        opt_level="2",
        debug_level="0",
        multi_file=True,
        group_name=GROUP,
        target_dir=_SCRATCH,
    )
    command = BuildInParallel(Distribution({"name": GROUP, "ext_modules": extensions}))
    command.inplace = True
    command.build_temp = _SCRATCH
    command.ensure_finalized()
    command.run()


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    made = compile_package(ROOT / "src" / "headworks", output.resolve())
    print(f"{len(MODULES)} modules compiled into {output}: {sum(path.stat().st_size for path in made) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
