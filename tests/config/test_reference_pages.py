import importlib.util
from pathlib import Path

GENERATOR = Path(__file__).parents[2] / "docs" / "generate.py"


def test_the_generated_reference_pages_say_what_the_code_says():
    specification = importlib.util.spec_from_file_location("generate", GENERATOR)
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)

    stale = [path.name for path, text in generate.pages().items() if path.read_text("utf-8") != text]

    assert stale == [], "run `make docs` and commit what it writes"
