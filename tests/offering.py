"""A package that offers something by entry points, installed beside others for as long as a test lasts."""

import sys
from pathlib import Path


def offer(folder: Path, groups: dict[str, dict[str, str]], source: str, *, package: str = "acme") -> None:
    """Install a distribution whose one module has this source.

    Arguments:
        folder: of the path; the caller puts it there, and `forget`s the module.
        groups: by group, what each name leads to in the module: `{"headworks.hooks": {"policy": "Policy"}}`.
    """
    (folder / f"{package}_offers.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [
        line
        for group, names in groups.items()
        for line in (f"[{group}]", *(f"{name} = {package}_offers:{value}" for name, value in names.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def forget(package: str = "acme") -> None:
    """Have the module imported anew by the next test."""
    sys.modules.pop(f"{package}_offers", None)
