import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import document
from headworks.config.document import Fault, Mapping, Mark, Scalar, Sequence, read


@pytest.fixture(params=["C", "Python"])
def parser(request, monkeypatch):
    """Both of PyYAML's parsers: the C one is not everywhere."""
    if request.param == "Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without its C parser")
    return request.param


def fault(text: str) -> Fault:
    with pytest.raises(Fault) as raised:
        read(text)
    return raised.value


def test_every_node_knows_its_line_and_column(parser):
    tree = read("a: 1\nü:\n  - 'x'\n  - {b: c}\n")

    assert tree.faults == ()
    assert tree.root == Mapping(
        Mark(1, 1),
        (
            (Scalar(Mark(1, 1), "a", is_plain=True), Scalar(Mark(1, 4), "1", is_plain=True)),
            (
                Scalar(Mark(2, 1), "ü", is_plain=True),
                Sequence(
                    Mark(3, 3),
                    (
                        Scalar(Mark(3, 5), "x", is_plain=False),
                        Mapping(
                            Mark(4, 5),
                            ((Scalar(Mark(4, 6), "b", is_plain=True), Scalar(Mark(4, 9), "c", is_plain=True)),),
                        ),
                    ),
                ),
            ),
        ),
    )


@pytest.mark.parametrize("text", ["", "# a comment only\n", "---\n...\n"])
def test_an_empty_text_is_an_empty_value(parser, text):
    root = read(text).root

    assert root == Mapping(Mark(1, 1), ()) or (isinstance(root, Scalar) and root.text == "")


def test_a_duplicate_key_is_a_fault_at_its_second_place(parser):
    assert read("a: 1\nb: 2\na: 3\n").faults == (
        (Mark(3, 1), "this key stands here a second time; the first is on line 1"),
    )


def test_a_key_that_is_not_text_is_a_fault(parser):
    assert read("? [1, 2]\n: 3\n").faults == ((Mark(1, 3), "a key must be text"),)


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x", "a: !secret x", "a: !!int '3'", "a: !x [1]"])
def test_a_tag_is_a_fault(parser, text):
    assert read(text).faults == ((Mark(1, 4), "tags (`!...`) have no meaning here: remove it"),)


def test_the_tag_for_text_makes_text(parser):
    (entry,) = read("a: !!str 3").root.entries

    assert entry[1] == Scalar(Mark(1, 4), "3", is_plain=False)


def test_an_alias_stands_for_its_anchor(parser):
    root = read("a: &x {b: 1}\nc: *x\n").root

    assert root.get("c") == root.get("a")


def test_own_keys_win_over_merged_ones_and_earlier_merged_over_later(parser):
    root = read("a: &a {x: a, y: a, z: a}\nb: &b {y: b, w: b}\nc:\n  <<: [*b, *a]\n  x: c\n").root

    assert {key.text: value.text for key, value in root.get("c").entries} == {"x": "c", "y": "b", "w": "b", "z": "a"}


def test_only_mappings_can_be_merged(parser):
    assert read("a: {<<: 3}").faults == ((Mark(1, 9), "only mappings can be merged with `<<`"),)


def test_an_alias_without_an_anchor_is_refused(parser):
    assert (fault("a: *x").mark, fault("a: *x").message) == (
        Mark(1, 4),
        "an alias to an anchor that does not exist above",
    )


def test_an_alias_inside_of_itself_is_refused(parser):
    assert fault("a: &x [*x]").mark == Mark(1, 8)


def test_an_alias_bomb_is_refused_without_being_expanded(parser):
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 30)]

    assert "aliases are expanded" in fault("\n".join(lines)).message


def test_deep_nesting_is_refused(parser):
    depth = document.MAX_DEPTH + 1

    assert fault("[" * depth + "]" * depth).mark == Mark(1, depth)
    assert read("[" * (depth - 1) + "]" * (depth - 1)).faults == ()


@pytest.mark.uncounted
def test_many_values_are_refused(parser):
    assert "more than" in fault("[" + ",".join("x" * (document.MAX_NODES + 1)) + "]").message


def test_a_second_document_is_refused(parser):
    assert fault("a: 1\n---\nb: 2\n").mark == Mark(2, 1)


@pytest.mark.parametrize(
    ("text", "mark"),
    [("a: 1\nb: [1, 2\nc: 3\n", None), ("a: b: c\n", Mark(1, 5)), ("a:\n\t- b\n", Mark(2, 1)), ("a: @x\n", Mark(1, 4))],
)
def test_broken_syntax_is_refused_with_its_place(parser, text, mark):
    found = fault(text)

    assert found.message.startswith("not valid YAML: ")
    assert mark is None or found.mark == mark


def test_a_control_character_is_refused_with_its_place(parser):
    found = fault("a: 1\nb: x\x07y\n")

    assert (found.mark, found.message) == (Mark(2, 5), "character U+0007 is not allowed in YAML")


@pytest.mark.parametrize(
    "text", ["a: *hw-secret-1", "a: &hw-secret-1 x\nb: [&hw-secret-1", "%hw-secret-1", "hw-secret-1: {"]
)
def test_a_fault_does_not_quote_the_text(parser, text):
    assert "secret" not in fault(text).message


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_a_place(text):
    mark = Mark(1, 1)
    try:
        read(text)
    except Fault as found:
        mark = found.mark or mark
    assert mark.line >= 1
    assert mark.column >= 1


@given(st.text(alphabet="ab:-[]{}&*<,\n '\"#|>!?~", max_size=60))
def test_both_parsers_make_the_same_tree(text):
    def outline(node):
        """The tree without the place of what is empty, on which the parsers differ."""
        if isinstance(node, Scalar):
            return (node.mark if node.text else None, node.text, node.is_plain)
        if isinstance(node, Sequence):
            return [outline(item) for item in node.items]
        return node and {outline(key): outline(value) for key, value in node.entries}

    def tree(loader_class):
        builder = document._Builder()
        loader = loader_class(text)
        try:
            while (event := loader.get_event()) is not None:
                builder.take(event)
        except (Fault, yaml.YAMLError):
            return None
        finally:
            loader.dispose()
        return builder.root

    slow, fast = tree(yaml.SafeLoader), tree(getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    assert slow is None or fast is None or outline(slow) == outline(fast)
