"""Conditions on the columns of runs, such as `parameters < 4e6`: read, never run as Python."""

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import QueryError, listed, unknown

_COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_DOT = "\N{MIDDLE DOT}"
"""Stands for a dot in the name of a column, such as `best_psnr_smooth_0.9`."""

MOST_PARTS = 1000

_GRAMMAR = (
    "compare columns with numbers or texts by ==, !=, <, <=, >, >=, in or not in, joined by and, "
    "or, not: parameters < 4e6, or primitive in ('nearest', 'bilinear')"
)


def matching(table: pa.Table, condition: str) -> pa.ChunkedArray:
    """Which rows fulfil a condition; a missing value fulfils none.

    Args:
        table: whose columns the condition names.
        condition: comparisons (chained too) of columns, numbers, texts and their + - * /, also
            with several of them (`in`, `not in`), joined by `and`, `or`, `not`.

    Returns:
        Bool (rows,).

    Raises:
        QueryError: it cannot be read, or names no column.

    >>> matching(pa.table({"a": [1, 2, None]}), "0 < a < 2 or a > 5").to_pylist()
    [True, False, False]
    >>> matching(pa.table({"a": [12, 13]}), "a > 25/2").to_pylist()
    [False, True]
    >>> table = pa.table({"a_0.9": [1, 2], "b": ["x", "y"]})
    >>> matching(table, "a_0.9 > 1 and b in ('y', 'z')").to_pylist()
    [False, True]
    """
    try:
        tree = _parsed(table, condition).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise QueryError(f"cannot read the condition {condition!r}: {_GRAMMAR}") from error
    try:
        fulfils = _evaluate(table, _expression(tree, table))
    except pa.ArrowNotImplementedError as error:
        raise QueryError(
            f"the condition {condition!r} does not fit the types of the columns: {_GRAMMAR}"
        ) from error
    except (pa.ArrowException, TypeError, OverflowError, RecursionError) as error:
        raise QueryError(
            f"the condition {condition!r} does not fit the columns: {error}"
        ) from error
    if not pa.types.is_boolean(fulfils.type):
        raise QueryError(f"{condition!r} is no condition: {_GRAMMAR}")
    return pc.fill_null(fulfils, False)


def known_texts(table: pa.Table, condition: str) -> str:
    """What the columns hold that a readable condition compares with texts, to end a message with.

    >>> known_texts(pa.table({"order": ["op_first", "up_first"]}), "order == 'op-first'")
    '; order is one of op_first, up_first'
    """
    compared = {
        side.id
        for node in ast.walk(_parsed(table, condition))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Name)
        and pa.types.is_string(table.schema.field(side.id.replace(_DOT, ".")).type)
    }
    texts = {name: sorted(pc.unique(table[name]).drop_null().to_pylist()) for name in compared}
    return "".join(f"; {name} is one of {listed(texts[name])}" for name in sorted(texts))


def _parsed(table: pa.Table, condition: str) -> ast.Expression:
    """The condition as Python reads it, the dots in names of columns as letters."""
    dotted = sorted((name for name in table.column_names if "." in name), key=len, reverse=True)
    for name in dotted:
        pattern = rf"(?<![\w.]){re.escape(name)}(?![\w.])"
        condition = re.sub(pattern, name.replace(".", _DOT), condition)
    return ast.parse(condition.strip(), mode="eval")


def _evaluate(table: pa.Table, expression: pc.Expression) -> pa.ChunkedArray:
    from pyarrow import acero  # it loads pandas where that is installed

    node = acero.Declaration.from_sequence(
        [
            acero.Declaration("table_source", acero.TableSourceNodeOptions(table)),
            acero.Declaration("project", acero.ProjectNodeOptions([expression], ["fulfils"])),
        ]
    )
    return node.to_table(use_threads=False)["fulfils"]


def _expression(node: ast.expr, table: pa.Table) -> Any:
    match node:
        case ast.Constant(value=bool() | float() | str()):
            return pc.scalar(node.value)
        case ast.Constant(value=int() as number):
            return pc.scalar(float(number))  # Arrow divides whole numbers to whole ones
        case ast.Name(id=name):
            name = name.replace(_DOT, ".")
            if name not in table.column_names:
                told = unknown("column", name, table.column_names, limit=60)
                raise QueryError(f"{told}; a text stands in quotes, such as {name!r}")
            field = pc.field(name)
            # Beside a number with a point, Arrow would take whole numbers to 24 bits.
            return field.cast(pa.float64()) if _is_number(table.schema.field(name).type) else field
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ~_expression(operand, table)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return pc.negate(_expression(operand, table))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_expression(left, table), _expression(right, table))
        case ast.BoolOp(op=op, values=values):
            join = operator.and_ if isinstance(op, ast.And) else operator.or_
            parts = [_expression(value, table) for value in values]
            return _joined(parts, join)
        case ast.Compare(
            left=left,
            ops=[ast.In() | ast.NotIn() as op],
            comparators=[ast.Tuple(elts=[_, *_] as several) | ast.List(elts=[_, *_] as several)],
        ):
            among = _among(_expression(left, table), several, table)
            return among if isinstance(op, ast.In) else ~among
        case ast.Compare(left=left, ops=ops, comparators=rest) if {*map(type, ops)} <= {
            *_COMPARISONS
        }:
            sides = [_expression(side, table) for side in (left, *rest)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return _joined([_COMPARISONS[type(op)](a, b) for op, a, b in pairs], operator.and_)
    raise QueryError(f"a condition cannot hold {ast.unparse(node)!r}: {_GRAMMAR}")


def _among(side: Any, several: list[ast.expr], table: pa.Table) -> Any:
    """Whether a side is one of several, unknown where it is missing."""
    values = [one.value if isinstance(one, ast.Constant) else None for one in several]
    kinds = {type(value) for value in values}
    if kinds == {str}:
        known = pa.array(values, pa.string())
    elif kinds <= {int, float}:
        known = pa.array([float(each) for each in values if isinstance(each, (int, float))])
    else:
        return _joined([side == _expression(one, table) for one in several], operator.or_)
    return pc.if_else(side.is_null(), pa.scalar(None, pa.bool_()), side.isin(known))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _joined(parts: list[Any], join: Callable[[Any, Any], Any]) -> Any:
    if len(parts) > MOST_PARTS:  # Arrow walks what is joined by recursion, and ends the process
        raise QueryError(
            f"a condition joins {len(parts):,} parts: give {MOST_PARTS:,} at most, or numbers or "
            "texts alone after `in`"
        )
    found = parts[0]
    for part in parts[1:]:
        found = join(found, part)
    return found
