"""A generic mutator: every small change of a claim's own code must be refuted by its check.

The code of a claim is its function and the functions of the specification that it names. Each
mutant changes one place of the syntax tree: a sign, a transpose, a constant, an index, a term or a
factor dropped, the order of two operands. A mutant is killed if the changed claim fails, is
ill-typed or cannot be evaluated on one of the instances of the check.
"""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from loracle_proofs.examination import ball_instances, evaluate, judge
from loracle_proofs.relation import Outcome, decide, negated, tight
from loracle_proofs.setting import Instance
from loracle_proofs.statement import Claim, Part
from loracle_reference.arithmetic.ball import Ball

__all__ = ["Mutant", "MutationReport", "mutants", "mutate"]

_CASES = 32

_RELATIONS = ("equal", "at_most", "less")


@dataclass(frozen=True)
class Mutant:
    """One change: the function, its operator, and the changed place before and after."""

    function: str
    operator: str
    before: str
    after: str
    occurrence: int
    code: Callable[..., Any]

    @property
    def name(self) -> str:
        """Names the mutant in a claim's list of equivalents."""
        place = f" #{self.occurrence}" if self.occurrence else ""
        return f"{self.function}: {self.before} -> {self.after}{place}"


@dataclass(frozen=True)
class MutationReport:
    """How many mutants there are, how many were killed, and the names of those that survived."""

    total: int
    killed: int
    survivors: tuple[str, ...]
    equivalent: tuple[tuple[str, str], ...]

    @property
    def complete(self) -> bool:
        """Whether the survivors are exactly those listed as equivalent."""
        return set(self.survivors) == {name for name, _ in self.equivalent}


def mutate(claim: Claim, part: Part, *, printed: bool, seed: str) -> MutationReport:
    """Run every mutant of a claim."""
    setting = claim.setting or part.setting
    instances: list[Instance | None] = [None]
    extremal: list[Instance] = []
    if setting is not None:
        drawn = ball_instances(setting, f"{seed}/mutation", printed=printed)
        admitted = (
            one
            for one in itertools.islice(drawn, 40 * _CASES)
            if part.hypotheses is None or judge(part.hypotheses, one)[0] is Outcome.HOLDS
        )
        instances = list(itertools.islice(admitted, _CASES))
        extremal = [
            Instance(setting, sizes, Ball(128), entries) for sizes, entries in claim.extremal
        ]
    total = 0
    survivors = []
    for mutant in mutants(claim):
        total += 1
        if not _killed(mutant.code, instances, extremal):
            survivors.append(mutant.name)
    return MutationReport(
        total, total - len(survivors), tuple(survivors), tuple(claim.equivalent.items())
    )


def _killed(
    relation: Callable[..., Any], instances: list[Instance | None], extremal: list[Instance]
) -> bool:
    try:
        if any(
            judge(relation, one)[0] in (Outcome.FAILS, Outcome.ILL_TYPED)
            for one in [*extremal, *instances]
        ):
            return True
        return any(
            one.sign == "<=" and decide(tight(one)) is not Outcome.HOLDS
            for instance in extremal
            for one in evaluate(relation, instance)
        )
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return True


def mutants(claim: Claim) -> Iterator[Mutant]:
    """The mutants of a claim's own function, then of the functions of the specification it names.

    Raises TypeError if one of them is not a function of a module's top level.
    """
    yield from _mutants_of(claim.relation, None)
    for function in claim.code:
        yield from _mutants_of(function, claim.relation)


def _mutants_of(
    function: Callable[..., Any], caller: Callable[..., Any] | None
) -> Iterator[Mutant]:
    if "<" in function.__qualname__ or function.__name__ == "<lambda>":
        raise TypeError(f"{function.__qualname__} must be a function of a module's top level")
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    seen: dict[tuple[str, str], int] = {}
    for operator, path, replacement in _changes(tree):
        before, after = ast.unparse(_at(tree, path)), ast.unparse(replacement)
        occurrence = seen.get((before, after), 0)
        seen[before, after] = occurrence + 1
        changed = copy.deepcopy(tree)
        _put(changed, path, replacement)
        code = _compiled(changed, function, caller)
        yield Mutant(function.__name__, operator, before, after, occurrence, code)


def _compiled(
    tree: ast.Module, function: Callable[..., Any], caller: Callable[..., Any] | None
) -> Callable[..., Any]:
    """The changed function; if it belongs to the specification, its caller, which sees the changed
    function in place of the original."""
    _definition(tree).decorator_list = []
    namespace = {**function.__globals__, "negated": negated}
    exec(compile(ast.fix_missing_locations(tree), "<mutant>", "exec"), namespace)
    changed: Callable[..., Any] = namespace[function.__name__]
    if caller is None:
        return changed
    scope = dict(caller.__globals__)
    scope[function.__name__] = changed
    source = ast.parse(textwrap.dedent(inspect.getsource(caller)))
    exec(compile(source, "<caller>", "exec"), scope)
    calling: Callable[..., Any] = scope[caller.__name__]
    return calling


def _definition(tree: ast.Module) -> ast.FunctionDef:
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError("a claim's file has changed since it was imported: run again")
    return definition


Path = tuple[tuple[str, int | None], ...]


def _changes(tree: ast.Module) -> Iterator[tuple[str, Path, ast.expr]]:
    """Every single change: the operator, the place, and what stands there afterwards."""
    definition = _definition(tree)
    start = 1 if ast.get_docstring(definition) is not None else 0
    for index in range(start, len(definition.body)):
        root: Path = (("body", 0), ("body", index))
        for path, node in _expressions(definition.body[index], root):
            for operator, replacement in _replacements(node):
                yield operator, path, replacement


def _expressions(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.expr]]:
    if isinstance(node, ast.expr):
        yield path, node
    for field, value in ast.iter_fields(node):
        if field in ("func", "annotation", "ctx", "slice_name", "witness"):
            if field == "func" and isinstance(value, ast.Attribute):
                yield from _expressions(value.value, (*path, (field, None), ("value", None)))
            continue
        if isinstance(node, ast.keyword) and node.arg == "witness":
            continue
        if isinstance(value, ast.AST):
            yield from _expressions(value, (*path, (field, None)))
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, ast.AST):
                    yield from _expressions(child, (*path, (field, index)))


def _replacements(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.BinOp):
        yield from _binary(node)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in _RELATIONS:
            negated = ast.Call(ast.Name("negated", ast.Load()), [node.args[1]], [])
            changed = copy.deepcopy(node)
            changed.args[1] = negated
            yield "sign", changed
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "constant", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", node.value
    elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant | ast.Slice):
        if isinstance(node.slice, ast.Name):
            moved = ast.BinOp(node.slice, ast.Add(), ast.Constant(1))
            yield "index", ast.Subscript(node.value, moved, node.ctx)
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("scale", "scale_rows", "divide_rows", "exp", "row_sum")
    ):
        # A method of a matrix that scales, sums or multiplies: without it, a factor is missing.
        yield "term", node.func.value


def _binary(node: ast.BinOp) -> Iterator[tuple[str, ast.expr]]:
    left, right = node.left, node.right
    swapped = {ast.Add: ast.Sub, ast.Sub: ast.Add}.get(type(node.op))
    if swapped is not None:
        yield "sign", ast.BinOp(left, swapped(), right)
    if isinstance(node.op, ast.MatMult | ast.Sub | ast.Div):
        yield "order", ast.BinOp(right, node.op, left)
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.MatMult | ast.Div):
        yield "term", left
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.MatMult):
        yield "term", right
    if isinstance(node.op, ast.MatMult):
        for side, operand in (("left", left), ("right", right)):
            if isinstance(operand, ast.Name):
                turned = ast.Attribute(operand, "T", ast.Load())
                pair = (turned, right) if side == "left" else (left, turned)
                yield "transpose", ast.BinOp(pair[0], node.op, pair[1])


def _at(tree: ast.AST, path: Path) -> Any:
    node: Any = tree
    for field, index in path:
        node = getattr(node, field)
        if index is not None:
            node = node[index]
    return node


def _put(tree: ast.AST, path: Path, replacement: ast.expr) -> None:
    parent = _at(tree, path[:-1])
    field, index = path[-1]
    if index is None:
        setattr(parent, field, replacement)
    else:
        getattr(parent, field)[index] = replacement
