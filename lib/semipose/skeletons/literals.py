"""Python literals out of a source text, without running any of it."""

import ast
import operator
from functools import partial

MAX_DEPTH = 20
MAX_REPEAT = 10_000
MAX_NUMBER = 2**63

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
SIGNS = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def read_assignment(text: str, name: str) -> object:
    """The value that a Python source text assigns to `name`: literals, `dict(key=...)`, arithmetic of numbers.

    Other assignments are ignored. `[1.0] * 17` and the sum of two lists are allowed too.

    Raises:
        ValueError: the text is not Python, does anything but assign, or the value is more than such literals. The
            message names the line.
    """
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: not valid Python: {error.msg}") from error
    except (RecursionError, MemoryError) as error:  # MemoryError: so says the parser
        raise ValueError("not valid Python: nested too deeply") from error
    values = [statement.value for statement in body if _assigned(statement) == name]
    if len(values) != 1:
        raise ValueError(f"{name} = ... expected once, found {len(values)} times")
    return _evaluate(values[0], MAX_DEPTH)


def _assigned(statement: ast.stmt) -> str:
    """The name that a statement assigns to; "" for a docstring."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return ""
    if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
        return statement.targets[0].id
    raise _refused(statement)


def _evaluate(node: ast.expr, depth: int) -> object:
    if depth == 0:
        raise ValueError(f"line {node.lineno}: nested too deeply")
    read = READERS.get(type(node))
    if read is None:
        raise _refused(node)
    return read(node, partial(_evaluate, depth=depth - 1))


def _read_constant(node: ast.Constant, evaluate) -> object:
    if node.value is not None and type(node.value) not in (bool, int, float, str):
        raise _refused(node)
    return _limited(node.value, node)


def _read_list(node: ast.List | ast.Tuple, evaluate) -> list:
    return [evaluate(item) for item in node.elts]


def _read_dict(node: ast.Dict, evaluate) -> dict:
    if not all(isinstance(key, ast.Constant) for key in node.keys):  # a key of None is `**other`
        raise _refused(node)
    return _unique([(key.value, evaluate(value)) for key, value in zip(node.keys, node.values)], node)


def _read_dict_call(node: ast.Call, evaluate) -> dict:
    named = isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args
    if not (named and all(keyword.arg for keyword in node.keywords)):
        raise _refused(node)
    return _unique([(keyword.arg, evaluate(keyword.value)) for keyword in node.keywords], node)


def _unique(items: list, node: ast.expr) -> dict:
    found = dict(items)
    if len(found) < len(items):
        raise ValueError(f"line {node.lineno}: a key is given twice")
    return found


def _read_sign(node: ast.UnaryOp, evaluate) -> object:
    value = evaluate(node.operand)
    if type(node.op) not in SIGNS or not _is_number(value):
        raise _refused(node)
    return SIGNS[type(node.op)](value)


def _read_arithmetic(node: ast.BinOp, evaluate) -> object:
    left, right = evaluate(node.left), evaluate(node.right)
    if isinstance(node.op, ast.Mult) and (isinstance(left, list) or isinstance(right, list)):
        return _repeated(node, *((left, right) if isinstance(left, list) else (right, left)))
    both_lists = isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list)
    if type(node.op) not in OPERATORS or not (both_lists or (_is_number(left) and _is_number(right))):
        raise _refused(node)
    try:
        return _limited(OPERATORS[type(node.op)](left, right), node)
    except ArithmeticError as error:
        raise ValueError(f"line {node.lineno}: {error}") from error


def _repeated(node: ast.BinOp, items: list, times: object) -> list:
    """Only a list of numbers may be repeated: nested repetition would grow without limit."""
    if type(times) is not int or not all(map(_is_number, items)):
        raise _refused(node)
    if len(items) * times > MAX_REPEAT:
        raise ValueError(f"line {node.lineno}: a list of more than {MAX_REPEAT} items")
    return items * times


def _limited(value: object, node: ast.expr) -> object:
    """The value; numbers that are too large to be printed quickly are refused."""
    if type(value) is int and abs(value) > MAX_NUMBER:
        raise ValueError(f"line {node.lineno}: a number beyond {MAX_NUMBER}")
    return value


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _refused(node: ast.AST) -> ValueError:
    return ValueError(f"line {node.lineno}: {type(node).__name__} is not allowed; only literals and dict(key=...) are")


READERS = {
    ast.Constant: _read_constant,
    ast.List: _read_list,
    ast.Tuple: _read_list,
    ast.Dict: _read_dict,
    ast.Call: _read_dict_call,
    ast.UnaryOp: _read_sign,
    ast.BinOp: _read_arithmetic,
}
