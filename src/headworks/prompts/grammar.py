"""Which templates there are: a small part of Jinja's language, checked node by node before anything is compiled.

Whatever is not named here is refused, so that a new feature of Jinja is refused too. What can go wrong while rendering
is ruled out where the declared types show it; what is inside an object is known only then.
"""

import math
import re
from collections.abc import Callable, Mapping

import msgspec
from jinja2 import nodes

from headworks.config.walk import suggestion
from headworks.prompts.filters import FILTERS, LOOP_FACTS, TESTS, Filter, Kind
from headworks.prompts.shape import RESERVED, VARIABLE_NAME, Variable

MAX_DEPTH = 8
"""Nesting of blocks."""

MAX_NESTING = 32
"""Nesting of expressions, in which `a or b or c` is two deep and each filter one. Python's compiler takes 200."""

MAX_BRANCHES = 100
"""`elif` branches of one `if`."""

MAX_ROUNDS = 100_000
"""Rounds that loops within loops may make, by the declared `max_items`; about 20 ms of work."""

_ELSEWHERE = "work it out in the application and pass it as a variable"
_ONE_FILE = "a prompt is one file: write the text here"
_REFUSED: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Include: ("`include`", _ONE_FILE),
    nodes.Import: ("`import`", _ONE_FILE),
    nodes.FromImport: ("`import`", _ONE_FILE),
    nodes.Extends: ("`extends`", _ONE_FILE),
    nodes.Block: ("`block`", _ONE_FILE),
    nodes.Macro: ("`macro`", "write the text out where it is needed"),
    nodes.CallBlock: ("`call`", "write the text out where it is needed"),
    nodes.FilterBlock: ("`filter`", "put the filter behind the variable: `{{ name|trim }}`"),
    nodes.Assign: ("`set`", _ELSEWHERE),
    nodes.AssignBlock: ("`set`", _ELSEWHERE),
    nodes.With: ("`with`", _ELSEWHERE),
    nodes.Scope: ("`autoescape`", "text is never escaped, so remove it"),
    nodes.Call: ("a call", "functions and methods cannot be called; " + _ELSEWHERE),
    nodes.CondExpr: ("`… if … else …`", "use `{% if %}` and `{% else %}`"),
    nodes.Concat: ("`~`", "write the values side by side"),
    nodes.BinExpr: ("arithmetic", _ELSEWHERE),
    nodes.List: ("a list", "compare with each value: `a == 'x' or a == 'y'`"),
    nodes.Tuple: ("a tuple", "compare with each value: `a == 'x' or a == 'y'`"),
    nodes.Slice: ("a slice", "use `truncate`, or pass it as a variable"),
}

Note = Callable[[int, str], None]


class Known(msgspec.Struct, frozen=True):
    """What is known of an expression before there is a value. `item` and `most` are a list's."""

    kind: Kind
    item: "Known | None" = None
    most: int = 0


ANYTHING = Known("any")
_TEXT, _NUMBER, _BOOLEAN = Known("text"), Known("number"), Known("boolean")
_KINDS: dict[str, Known] = {
    "string": _TEXT,
    "enum": _TEXT,
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": _BOOLEAN,
    "object": Known("object"),
}

Scope = Mapping[str, Known]


def known(variable: Variable) -> Known:
    """What a variable's declaration tells."""
    if variable.type == "list":
        return Known("list", known(variable.item), variable.max_items)
    return _KINDS[variable.type]


def check(template: nodes.Template, scope: Scope, note: Note) -> None:
    """Hand every part of the template that is not allowed to `note`, with its offset and the way out.

    Arguments:
        template: a tree of `parsing`.
        scope: the variables.
        note: takes an offset and a message.
    """
    _Checker(note).statements(template.body, scope, 0, 1)


class _Checker:
    def __init__(self, note: Note) -> None:
        self._note = note

    def statements(self, body: list[nodes.Node], scope: Scope, depth: int, rounds: int) -> None:
        """Check what stands in a body that is run up to `rounds` times."""
        if depth > MAX_DEPTH and body:
            self._note(body[0].lineno or 0, f"blocks are nested deeper than {MAX_DEPTH} levels: {_ELSEWHERE}")
            return
        for node in body:
            match node:
                case nodes.Output():
                    self._output(node, scope)
                case nodes.If():
                    self._if(node, scope, depth, rounds)
                case nodes.For():
                    self._for(node, scope, depth, rounds)
                case _:
                    self._refuse(node)

    def _output(self, node: nodes.Output, scope: Scope) -> None:
        for child in node.nodes:
            match child:
                case nodes.TemplateData():
                    pass
                case nodes.Filter(name="fence"):
                    if child.find(nodes.Name) is None:
                        self._note(child.lineno, "`fence` is for variables: fixed text needs none")
                    self._filter(child, scope, 0)
                case _:
                    self._expression(child, scope, 0)

    def _if(self, node: nodes.If, scope: Scope, depth: int, rounds: int) -> None:
        if len(node.elif_) > MAX_BRANCHES:
            self._note(node.lineno, f"more than {MAX_BRANCHES} branches: {_ELSEWHERE}")
        for branch in (node, *node.elif_):
            self._expression(branch.test, scope, 0)
            self.statements(branch.body, scope, depth + 1, rounds)
        self.statements(node.else_, scope, depth + 1, rounds)

    def _for(self, node: nodes.For, scope: Scope, depth: int, rounds: int) -> None:
        if node.recursive:
            self._note(node.lineno, f"`recursive` is not part of templates here: {_ELSEWHERE}")
        listed = scope.get(node.iter.name) if isinstance(node.iter, nodes.Name) else None
        if isinstance(node.iter, nodes.Name) and listed is None:
            self._undeclared(node.iter, scope)
            listed = ANYTHING
        elif listed is None or listed.kind not in ("list", "any") or node.iter == nodes.Name("loop", "load"):
            self._note(node.iter.lineno, "`for` goes over a variable of type `list`: declare what it goes over as one")
            listed = ANYTHING
        rounds *= max(1, listed.most)
        if rounds > MAX_ROUNDS:
            self._note(node.lineno, f"these loops may make {rounds} rounds, more than {MAX_ROUNDS}: lower `max_items`")
        if not isinstance(node.target, nodes.Name):
            self._note(node.target.lineno, "`for` takes one name: `{% for line in lines %}`")
            return
        name = node.target.name
        if name in RESERVED or name in scope:
            self._note(node.target.lineno, "this name is taken: choose another one for the loop")
        elif re.fullmatch(VARIABLE_NAME, name) is None:
            self._note(node.target.lineno, "a loop's name is of small letters, digits and underscores, a letter first")
        inner = {**scope, name: listed.item or ANYTHING}
        if node.test is not None:
            self._expression(node.test, inner, 0)
        self.statements(node.body, {**inner, "loop": ANYTHING}, depth + 1, rounds)
        self.statements(node.else_, scope, depth + 1, rounds)

    def _expression(self, node: nodes.Node, scope: Scope, depth: int) -> Known:
        if depth > MAX_NESTING:
            self._note(node.lineno, f"this expression is nested deeper than {MAX_NESTING} levels: {_ELSEWHERE}")
            return ANYTHING
        match node:
            case nodes.Const():
                return self._const(node)
            case nodes.Name():
                return self._name(node, scope)
            case nodes.Getattr() | nodes.Getitem():
                return self._item(node, scope, depth)
            case nodes.Filter():
                if node.name == "fence":
                    self._note(
                        node.lineno, "`fence` is the last filter of an output, `{{ name|fence }}`, and nothing else"
                    )
                    return _TEXT
                return self._filter(node, scope, depth)
            case nodes.Test():
                return self._test(node, scope, depth)
            case nodes.Compare():
                return self._compare(node, scope, depth)
            case nodes.And() | nodes.Or():
                left = self._expression(node.left, scope, depth + 1)
                right = self._expression(node.right, scope, depth + 1)
                return left if left == right else ANYTHING
            case nodes.Not():
                self._expression(node.node, scope, depth + 1)
                return _BOOLEAN
            case nodes.Neg(node=nodes.Const(value=int() | float())):
                return _NUMBER
            case _:
                self._refuse(node)
                return ANYTHING

    def _const(self, node: nodes.Const) -> Known:
        value = node.value
        if isinstance(value, bool):
            return _BOOLEAN
        if isinstance(value, int | float):
            if not math.isfinite(value) or abs(value) >= 2**63:
                self._note(node.lineno, "this number is too large")
            return _NUMBER
        if isinstance(value, str):
            self._characters(value, node)
        return Known("none") if value is None else _TEXT

    def _characters(self, text: str, node: nodes.Node) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._note(node.lineno, "this text holds half of a surrogate pair, which is no character")

    def _name(self, node: nodes.Name, scope: Scope) -> Known:
        if node.name == "loop" and "loop" in scope:
            self._note(node.lineno, f"`loop` has {_listed(sorted(LOOP_FACTS))}: say which, as in `loop.index`")
            return ANYTHING
        found = scope.get(node.name)
        if found is None:
            self._undeclared(node, scope)
        return found or ANYTHING

    def _undeclared(self, node: nodes.Name, scope: Scope) -> None:
        names = [name for name in scope if name != "loop"]
        self._note(node.lineno, f"this name is not declared under `variables`{suggestion(node.name, names)}")

    def _item(self, node: nodes.Getattr | nodes.Getitem, scope: Scope, depth: int) -> Known:
        key: object
        if isinstance(node, nodes.Getattr):
            key = node.attr
        else:
            key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        if isinstance(node.node, nodes.Name) and node.node.name == "loop" and "loop" in scope:
            if isinstance(node, nodes.Getitem) or key not in LOOP_FACTS:
                self._note(node.lineno, f"`loop` has {_listed(sorted(LOOP_FACTS))} only")
            return ANYTHING
        inside = self._expression(node.node, scope, depth + 1)
        if isinstance(key, bool) or not isinstance(key, str | int):
            self._note(node.lineno, f"an item is named by a constant, as in `order.total`: {_ELSEWHERE}")
        elif isinstance(key, str) and key.startswith("_"):
            self._note(node.lineno, "names that begin with `_` are out of reach: pass it under another name")
        elif inside.kind not in ("object", "any"):
            self._note(node.lineno, "only a variable of type `object` has items")
        return ANYTHING

    def _filter(self, node: nodes.Filter, scope: Scope, depth: int) -> Known:
        found = FILTERS.get(node.name)
        taken = ANYTHING if node.node is None else self._expression(node.node, scope, depth + 1)
        if found is None:
            names = sorted(FILTERS)
            self._note(node.lineno, f"there is no such filter here; there are {_listed(names)}")
            return ANYTHING
        if taken.kind != "any" and taken.kind not in found.takes:
            wanted = " or ".join(sorted(found.takes))
            self._note(node.lineno, f"`{node.name}` takes {wanted}, and this is {taken.kind}")
        self._arguments(node, found)
        if found.gives is not None:
            return Known(found.gives)
        return taken if taken.kind != "any" else ANYTHING

    def _arguments(self, node: nodes.Filter, found: Filter) -> None:
        by_name = {argument.name: argument for argument in found.arguments}
        given: dict[str, nodes.Node] = dict(zip(by_name, node.args, strict=False))
        is_too_many = len(node.args) > len(by_name) or node.dyn_args is not None or node.dyn_kwargs is not None
        for pair in node.kwargs:
            key, value = _pair(pair)
            is_too_many = is_too_many or key not in by_name or key in given
            given[key] = value
        if is_too_many:
            self._note(node.lineno, f"`{node.name}` takes {_listed(list(by_name)) or 'no arguments'}")
            return
        for name, argument in by_name.items():
            told = given.get(name)
            if told is None:
                if argument.is_required:
                    self._note(node.lineno, f"`{node.name}` needs `{name}`")
                continue
            constant = told.value if isinstance(told, nodes.Const) else None
            if type(constant) not in argument.kinds:
                words = " or ".join(kind.__name__ for kind in argument.kinds)
                self._note(told.lineno, f"`{name}` of `{node.name}` must be a constant of type {words}")
            elif isinstance(constant, str):
                self._characters(constant, told)
            elif argument.most is not None and isinstance(constant, int) and constant > argument.most:
                self._note(told.lineno, f"`{name}` of `{node.name}` must be at most {argument.most}")

    def _test(self, node: nodes.Test, scope: Scope, depth: int) -> Known:
        if node.name not in TESTS or node.args or node.kwargs:
            self._note(node.lineno, f"there is no such test here; there are {_listed(list(TESTS))}")
        self._expression(node.node, scope, depth + 1)
        return _BOOLEAN

    def _compare(self, node: nodes.Compare, scope: Scope, depth: int) -> Known:
        left = self._expression(node.expr, scope, depth + 1)
        for operand in node.ops:
            right = self._expression(operand.expr, scope, depth + 1)
            kinds = {left.kind, right.kind} - {"any"}
            if operand.op in ("gt", "gteq", "lt", "lteq") and kinds not in (set(), {"text"}, {"number"}):
                self._note(operand.expr.lineno, "`<` and `>` compare numbers with numbers, or text with text")
            is_text_in_other = right.kind == "text" and left.kind not in ("text", "any")
            if operand.op in ("in", "notin") and (
                right.kind not in ("text", "list", "object", "any") or is_text_in_other
            ):
                self._note(operand.expr.lineno, "`in` looks for text in text, or for an item in a list")
            left = right
        return _BOOLEAN

    def _refuse(self, node: nodes.Node) -> None:
        for kind in type(node).__mro__:
            if kind in _REFUSED:
                what, way_out = _REFUSED[kind]
                break
        else:
            what, way_out = f"`{type(node).__name__.lower()}`", _ELSEWHERE
        self._note(node.lineno or 0, f"{what} is not part of templates here: {way_out}")


def _pair(pair: nodes.Node) -> tuple[str, nodes.Node]:
    """A keyword argument; Jinja's own types say less than its parser."""
    assert isinstance(pair, nodes.Keyword)
    return pair.key, pair.value


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
