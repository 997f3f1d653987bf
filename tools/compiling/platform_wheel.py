"""Make the wheel of this platform from the pure wheel, with the hot path compiled.

    .venv/bin/python tools/compiling/platform_wheel.py dist/headworks-0.1.0-py3-none-any.whl --output dist

Nothing of ours runs when a wheel is built or installed: compiling is a step of its own, whose result is a wheel like
any other, for one Python and one platform. `pip` takes it where it fits, and the pure wheel elsewhere.
The format: Python Packaging User Guide, "Binary distribution format" (PEP 427).
"""

import argparse
import base64
import hashlib
import io
import sys
import sysconfig
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from compiling import ROOT, compile_package

_MODE = 0o100644 << 16
_PURE = "py3-none-any"


def platform_tag() -> str:
    """Of this interpreter and this machine: `cp311-cp311-linux_x86_64`."""
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{version}-{version}-{platform}"


def with_libraries(pure: bytes, libraries: dict[str, bytes], tag: str) -> bytes:
    """The pure wheel's content with these files added, by their paths in it, as a wheel for `tag`.

    Times and order are the pure wheel's, so that the same content gives the same bytes.
    """
    source = zipfile.ZipFile(io.BytesIO(pure))
    infos = source.infolist()
    files = {info.filename: source.read(info) for info in infos}
    date = infos[0].date_time
    about = next(name.rpartition("/")[0] for name in files if name.endswith(".dist-info/WHEEL"))
    record = f"{about}/RECORD"
    text = files[f"{about}/WHEEL"].decode()
    text = text.replace("Root-Is-Purelib: true", "Root-Is-Purelib: false").replace(f"Tag: {_PURE}", f"Tag: {tag}")
    files |= {f"{about}/WHEEL": text.encode(), **libraries}
    del files[record]
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in sorted(files.items())]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name in [*sorted(name for name in files if name != record), record]:
            info = zipfile.ZipInfo(name, date)
            info.external_attr = _MODE
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, files[name])
    return made.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pure", type=Path)
    parser.add_argument("--compiled", type=Path, help="what compiling.py has made; without it, it is made now")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    compiled: Path = options.compiled or ROOT / "build" / "compiled"
    if options.compiled is None:
        compile_package(ROOT / "src" / "headworks", compiled)
    libraries = {str(path.relative_to(compiled)): path.read_bytes() for path in compiled.rglob("*.so")}
    pure: Path = options.pure
    tag = platform_tag()
    content = with_libraries(pure.read_bytes(), libraries, tag)
    name = pure.name.replace(_PURE, tag)
    (options.output / name).write_bytes(content)
    print(f"{hashlib.sha256(content).hexdigest()}  {name}")


if __name__ == "__main__":
    main()
