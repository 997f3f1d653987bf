"""Whether the hot path runs compiled."""

import importlib
import importlib.util
from pathlib import Path

from headworks.hot_path import MODULES, as_source, origin

ROOT = Path(__file__).parents[1]


def test_what_is_looked_at_is_compiled_in_the_compiled_form():
    spec = importlib.util.spec_from_file_location("compiling", ROOT / "tools" / "compiling" / "compiling.py")
    compiling = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiling)
    names = {f"headworks.{path.removesuffix('.py').replace('/', '.')}" for path in compiling.MODULES}
    assert set(MODULES) <= names


def test_it_is_what_classes_say_of_themselves():
    """A class that mypyc has compiled has this mark."""
    classes = (("headworks.unary", "UnaryCall"), ("headworks.streaming", "StreamRelay"))
    for module, name in classes:
        is_compiled = hasattr(getattr(importlib.import_module(module), name), "__mypyc_attrs__")
        assert is_compiled is not (module in as_source())


def test_what_is_not_there_is_not_compiled():
    assert origin("no_such.module_here") == ""
    assert as_source(["no_such.module_here", "msgspec._core"]) == ["no_such.module_here"]
