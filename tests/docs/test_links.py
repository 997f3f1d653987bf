"""Every link of every page leads somewhere, and the index of the documentation names every page."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "README.md"

_FENCED = re.compile(r"^( *)(`{3,}|~{3,}).*?^ *\2 *$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]^]+\]:\s+(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
_HTML_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
_OTHERS = {"node_modules", "build", "dist"}
"""Folders whose pages are not ours."""


def pages() -> list[Path]:
    found = []
    for path in ROOT.rglob("*.md"):
        folders = path.relative_to(ROOT).parts[:-1]
        if not any(folder.startswith(".") or folder in _OTHERS for folder in folders):
            found.append(path)
    return sorted(found)


def prose(text: str) -> str:
    """The page without what is not read as prose: samples and comments."""
    return _COMMENT.sub("", _FENCED.sub("", text))


def links(text: str) -> list[str]:
    """Where the page's links lead, those to other sites left out."""
    targets = [inline or reference for inline, reference in _LINK.findall(_CODE.sub("", prose(text)))]
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings: lower case, words joined by `-`, repeated ones numbered."""
    found: set[str] = set(_HTML_ANCHOR.findall(text))
    seen: dict[str, int] = {}
    for heading in _HEADING.findall(prose(text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def broken(page: Path, target: str) -> str:
    """What is wrong with a link of this page; nothing if it is good."""
    name, _, anchor = unquote(target).partition("#")
    file = (page.parent / name).resolve() if name else page
    if name.startswith("/") or not file.is_relative_to(ROOT):
        return f"{target} leads out of the repository"
    if not file.exists():
        return f"{target} does not exist"
    if anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text("utf-8"))):
        return f"{target}: there is no such heading"
    return ""


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages()])
def test_every_link_of_a_page_leads_somewhere(page):
    path = ROOT / page

    problems = [problem for target in links(path.read_text("utf-8")) if (problem := broken(path, target))]

    assert not problems, problems


def test_the_index_names_every_page_of_the_documentation():
    linked = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX.read_text("utf-8"))}

    missing = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page.resolve() not in linked]

    assert missing == ["docs/README.md"]


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    text = 'See [a](gone.md), [b](README.md#no-such "title"), [c](#here) and [d](https://example.org).\n\n[e]: /etc\n'

    problems = [broken(ROOT / "README.md", target) for target in links(text)]

    assert problems == [
        "gone.md does not exist",
        "README.md#no-such: there is no such heading",
        "#here: there is no such heading",
        "/etc leads out of the repository",
    ]


def test_links_in_samples_and_comments_are_not_links():
    assert links("```text\n[a](b.md)\n```\n<!-- [c](d.md) -->\n`[e](f.md)` and [g](h.md)\n") == ["h.md"]


def test_headings_have_the_anchors_of_github():
    page = "# `headworks calls`: what's in it?\n\n## A [link](x.md)\n\n## Twice\n\n## Twice\n\n```sh\n# not one\n```\n"

    assert anchors(page) == {"headworks-calls-whats-in-it", "a-link", "twice", "twice-1"}
