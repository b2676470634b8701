"""The steps inside an expression, in evaluation order; and how conditions and own methods branch a flow."""

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from authoring.graph.flow import Ends, FlowBuilder, Kind, OpenEnd, StepResult
from authoring.graph.phrasing import Phrasing
from authoring.graph.scope import StoryCode, bound_names, is_collection, nodes
from authoring.graph.vocabulary import describe, describe_other, step_call
from journeys.source.reader import Function, is_static, positional_parameters

_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)

_MAX_INLINED, _MAX_DEPTH = 60, 8
"""Methods inlined in one flow, and nested in one another; further ones stand as calls."""

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp

Leave = Callable[[ast.expr | None, Ends], None]
"""Takes a value that a method returns, and the open ends at which it returns."""

ReadMethod = Callable[[Function, ast.Call, Ends, Leave], None]

_HAS_OWN_BRANCHES = (ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.NamedExpr, ast.Await)

_NONE = ast.Constant(None)


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """The body of a function for one call, with the call's arguments in place of its parameters."""

    body: list[ast.stmt]
    parameters: frozenset[str]
    """Parameters that keep their names."""


class OwnMethods:
    """The author's own methods and functions that a flow inlines at their calls."""

    def __init__(self, code: StoryCode) -> None:
        self._code = code
        self._remaining = _MAX_INLINED
        self._inside: list[Function] = []

    def inlined(self, call: ast.AST) -> Function | None:
        """The function to inline at a call; None for other calls and for a recursive one."""
        function = self._own_function(call)
        if function is None or function in self._inside:
            return None
        return function if self._remaining > 0 and len(self._inside) < _MAX_DEPTH else None

    def enter(self, function: Function) -> None:
        """Start reading the body of a function."""
        self._inside.append(function)
        self._remaining -= 1

    def leave(self) -> None:
        """Finish reading its body."""
        self._inside.pop()

    def has_step(self, node: ast.AST) -> bool:
        """Whether code contains a step; the bodies of functions nested in it do not count."""
        if isinstance(node, _NESTED):
            return False
        if (function := self.inlined(node)) is not None:
            if self._contains_step(function):
                return True
        elif step_call(node) or (isinstance(node, ast.Await) and self.inlined(node.value) is None):
            return True
        return any(map(self.has_step, ast.iter_child_nodes(node)))

    def is_shown(self, node: ast.AST) -> bool:
        """Whether a flow shows code: it contains a step, or leaves its block."""
        if isinstance(node, _NESTED):
            return False
        return (
            isinstance(node, _LEAVES)
            or self.has_step(node)
            or any(map(self.is_shown, ast.iter_child_nodes(node)))
        )

    def _own_function(self, call: ast.AST) -> Function | None:
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                return self._code.methods.get(name)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                given = [*args, *(each.value for each in keywords)]
                if any(isinstance(each, ast.Name) and each.id == "self" for each in given):
                    return self._code.functions.get(name)
        return None

    def _contains_step(self, function: Function) -> bool:
        waiting, seen = [function], list[Function]()
        while waiting:
            each = waiting.pop()
            if each in seen:
                continue
            seen.append(each)
            for node in nodes(inline(each).body):
                if (further := self._own_function(node)) is not None:
                    waiting.append(further)
                elif step_call(node) or (
                    isinstance(node, ast.Await) and self._own_function(node.value) is None
                ):
                    return True
        return False


def inline(function: Function, call: ast.Call | None = None) -> InlinedCall:
    """Return a function's body for a call.

    A parameter keeps its name where its argument is more than a name or a constant value.
    """
    names, static = positional_parameters(function), is_static(function)
    given = _defaults(function, names)
    if call is not None:
        bound = names if static or isinstance(call.func, ast.Name) else names[1:]
        given |= dict(zip(bound, call.args, strict=False))
        given |= {each.arg: each.value for each in call.keywords if each.arg}
    own = frozenset(bound_names(function.body))
    replaced = {
        name: value
        for name, value in given.items()
        if name not in own and _is_plain(value) and not own.intersection(_names_in(value))
    }
    if names and not static and (call is None or isinstance(call.func, ast.Attribute)):
        replaced[names[0]] = ast.Name("self", ast.Load())
    body = [_Replacement(replaced).visit(copy.deepcopy(each)) for each in function.body]
    parameters = frozenset(each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg))
    return InlinedCall(body, parameters.difference(replaced))


def _defaults(function: Function, names: list[str]) -> dict[str, ast.expr]:
    args = function.args
    given = dict(zip(reversed(names), reversed(args.defaults), strict=False))
    also = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return given | {each.arg: value for each, value in also if value is not None}


def _is_plain(value: ast.expr) -> bool:
    match value:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute(value=base) | ast.Subscript(value=base):
            return _is_plain(base)
        case ast.Tuple(elts=each) | ast.List(elts=each):
            return all(map(_is_plain, each))
    return False


def _names_in(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}


class _Replacement(ast.NodeTransformer):
    def __init__(self, replaced: dict[str, ast.expr]) -> None:
        self._replaced = replaced

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._replaced.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        inside = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        rest = {name: value for name, value in self._replaced.items() if name not in inside}
        return ast.Lambda(node.args, _Replacement(rest).visit(node.body))


class ExpressionFlow:
    """Adds the steps of expressions to a flow; ``read_method`` adds the body of an own method."""

    def __init__(
        self, flow: FlowBuilder, phrasing: Phrasing, own: OwnMethods, read_method: ReadMethod
    ) -> None:
        self.flow = flow
        self.phrasing = phrasing
        self.own = own
        self._read_method = read_method
        self._last: StepResult | None = None

    def add_steps(self, expression: ast.expr | None, ends: Ends) -> Ends:
        """Add all steps of an expression after these open ends; returns the open ends after them."""
        self._last = None
        if expression is None or not ends or not self.own.has_step(expression):
            return ends
        match expression:
            case ast.Await(value=value) if not (step_call(value) or self.own.inlined(value)):
                return self.flow.add_step(describe_other(value, self.phrasing), ends)[0]
            case ast.Await(value=value):
                return self.add_steps(value, ends)
            case ast.NamedExpr(target=target, value=value):
                ends = self.add_steps(value, ends)
                self.bind(target, expression)
                return ends
            case ast.IfExp(test=test, body=body, orelse=other):
                holds, fails = self.branches(test, ends)
                ends = self.add_steps(body, holds) + self.add_steps(other, fails)
                self._last = None
                return ends
            case ast.BoolOp():
                holds, fails = self.branches(expression, ends)
                self._last = None
                return holds + fails
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(expression, ends)
        for part in _parts(expression):
            ends = self.add_steps(part, ends)
        self._last = None
        if isinstance(expression, ast.Call) and ends:
            if (function := self.own.inlined(expression)) is not None:
                return self._in_place(function, expression, ends)
            if (word := step_call(expression)) is not None:
                ends, self._last = self.flow.add_step(describe(word, self.phrasing), ends)
        return ends

    def bind(self, target: ast.expr, value: ast.expr) -> None:
        """Record the meaning of a name bound to an expression after the expression's steps were added."""
        if isinstance(target, ast.Name):
            within = value.value if isinstance(value, ast.Await | ast.NamedExpr) else value
            call = within.value if isinstance(within, ast.Await) else within
            collection = is_collection(within, self.own.inlined(call))
            result = self._last if step_call(call) else None
            self.phrasing.names.bind(target.id, result, is_collection=collection)

    def branches(self, test: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        """The open ends at which a condition holds, and those at which it does not."""
        if not ends:
            return (), ()
        test = _of_new_runs(test)
        match test:
            case ast.Constant(value=value):
                return (ends, ()) if value else ((), ends)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                holds, fails = self.branches(inner, ends)
                return fails, holds
            case ast.BoolOp(op=op, values=values) if self.own.has_step(test):
                return self._one_by_one(values, ends, all_of=isinstance(op, ast.And))
            case ast.Compare(left=left, ops=[ast.NotEq() | ast.NotIn() as op], comparators=[right]):
                # The opposite question is easier to read: "is it the store?".
                opposite = ast.Eq() if isinstance(op, ast.NotEq) else ast.In()
                holds, fails = self.branches(ast.Compare(left, [opposite], [right]), ends)
                return fails, holds
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(None)]):
                if self.own.has_step(left) or self.current_result(left, ends):
                    holds, fails = self.branches(left, ends)
                    return (holds, fails) if isinstance(op, ast.IsNot) else (fails, holds)
            case ast.Compare(left=left, ops=[ast.Eq() | ast.In()], comparators=[right]) if is_literal(right):
                return self._arm(test, left, right, ends)
        if (function := self._own_condition(test)) is not None:
            return self._branches_of_own(*function, ends)
        if result := self.current_result(test, ends):
            return result.branches
        ends = self.add_steps(test, ends)
        whole = isinstance(test, ast.Await | ast.NamedExpr) or step_call(test)
        if ends and whole and self._last and self._last.holds:
            return self._last.branches
        return self._choice(test, ends)

    def current_result(self, expression: ast.expr, ends: Ends) -> StepResult | None:
        """The result that a name stands for, if its step is the last one before these open ends."""
        found = self.phrasing.names.result(expression)
        return found if found and (found.holds or found.is_draw) and ends == found.open_ends else None

    def subject(self, subject: ast.expr, ends: Ends) -> tuple[Ends, StepResult | None]:
        """Add the steps of the subject of a ``match``; returns the open ends and the subject's result."""
        if found := self.current_result(subject, ends):
            return ends, found
        ends = self.add_steps(subject, ends)
        whole = isinstance(subject, ast.Await | ast.NamedExpr) or step_call(subject)
        return ends, self._last if whole and self._last and self._last.cases | set(self._last.arms) else None

    def _choice(self, test: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        if not ends:
            return (), ()
        node = self.flow.add(Kind.CHOICE, f"{self.phrasing.condition(test)}?", (), ends)
        return (OpenEnd(node, "yes"),), (OpenEnd(node, "no"),)

    def _arm(self, test: ast.expr, left: ast.expr, right: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        """Branch at a comparison; one with an arm of a draw branches at the draw, with shares."""
        result = self.phrasing.names.result(left)
        at_once = result is not None and ends == result.open_ends
        if result is None:
            ends = self.add_steps(left, ends)
            result, at_once = self._last, True
        if not ends or result is None or not result.is_draw:
            return self._choice(test, ends)
        each = right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]
        names = [self.phrasing.value(one) for one in each]
        node = result.node if at_once else self.flow.add(Kind.CHOICE, f"{result.name}?", (), ends)
        return (OpenEnd(node, result.arm_label(*names)),), (OpenEnd(node, result.other_arms_label(*names)),)

    def _own_condition(self, test: ast.expr) -> tuple[Function, ast.Call] | None:
        """Return the own method that a condition calls, with the call, if the method's body is shown."""
        if isinstance(test, ast.NamedExpr):
            test = test.value
        call = test.value if isinstance(test, ast.Await) else test
        function = self.own.inlined(call)
        if function is None or not isinstance(call, ast.Call) or not self.own.has_step(call):
            return None
        return function, call

    def _branches_of_own(self, function: Function, call: ast.Call, ends: Ends) -> tuple[Ends, Ends]:
        """Branch at the values that a method returns; one choice for all that it computes."""
        for part in _parts(call):
            ends = self.add_steps(part, ends)
        yes: list[OpenEnd] = []
        no: list[OpenEnd] = []
        open_: list[OpenEnd] = []

        def leave(value: ast.expr | None, at: Ends) -> None:
            if value is None or isinstance(value, _HAS_OWN_BRANCHES) or self.current_result(value, at):
                holds, fails = self.branches(value or _NONE, at)
                yes.extend(holds)
                no.extend(fails)
            else:
                open_.extend(self.add_steps(value, at))

        self._read_method(function, call, ends, leave)
        if open_:
            name = function.name.strip("_").replace("_", " ")
            title = f"any {name}?" if is_collection(call, function) else f"{name}?"
            node = self.flow.add(Kind.CHOICE, title, (), tuple(open_))
            yes.append(OpenEnd(node, "yes"))
            no.append(OpenEnd(node, "no"))
        return tuple(yes), tuple(no)

    def _in_place(self, function: Function, call: ast.Call, ends: Ends) -> Ends:
        left: list[OpenEnd] = []
        self._read_method(function, call, ends, lambda value, at: left.extend(self.add_steps(value, at)))
        self._last = None
        return tuple(left)

    def _one_by_one(self, values: Sequence[ast.expr], ends: Ends, *, all_of: bool) -> tuple[Ends, Ends]:
        # As in Python: operands after the deciding one are not evaluated.
        decided: Ends = ()
        for value in values:
            holds, fails = self.branches(value, ends)
            ends, out = (holds, fails) if all_of else (fails, holds)
            decided += out
        return (ends, decided) if all_of else (decided, ends)

    def _comprehension(self, expression: Comprehension, ends: Ends) -> Ends:
        first = expression.generators[0]
        ends = self.add_steps(first.iter, ends)
        loop = self.flow.add(Kind.LOOP, self.phrasing.each(first.target, first.iter), (), ends)
        inner: Ends = (OpenEnd(loop, "next"),)
        inside = (
            (expression.key, expression.value) if isinstance(expression, ast.DictComp) else (expression.elt,)
        )
        for part in (*(test for each in expression.generators for test in each.ifs), *inside):
            inner = self.add_steps(part, inner)
        self.flow.add_back_edges(inner, loop)
        self._last = None
        return (OpenEnd(loop, "done"),)


def is_literal(expression: ast.expr) -> bool:
    """Whether a comparison with an expression names arms: it is a value, or several."""
    if isinstance(expression, ast.Tuple | ast.List | ast.Set):
        return all(isinstance(each, ast.Constant | ast.Attribute) for each in expression.elts)
    return isinstance(expression, ast.Constant | ast.Attribute | ast.Name)


def _parts(expression: ast.expr) -> Iterator[ast.expr]:
    """The expressions directly inside one, in evaluation order."""
    for part in ast.iter_child_nodes(expression):
        if isinstance(part, ast.keyword):
            yield part.value
        elif isinstance(part, ast.expr):
            yield part


def _of_new_runs(test: ast.expr) -> ast.expr:
    """Return a condition as it is for runs that begin now: ``workflow.patched(…)`` holds."""
    match test:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="workflow"), attr="patched")):
            return ast.Constant(True)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            inner = _of_new_runs(inner)
            known = isinstance(inner, ast.Constant) and isinstance(inner.value, bool)
            return ast.Constant(not inner.value) if known else ast.UnaryOp(ast.Not(), inner)  # type: ignore[attr-defined]
        case ast.BoolOp(op=op, values=values):
            # In a conjunction True says nothing, and False decides; in a disjunction the other way round.
            neutral = isinstance(op, ast.And)
            left = [_of_new_runs(each) for each in values]
            left = [each for each in left if not (isinstance(each, ast.Constant) and each.value is neutral)]
            if any(isinstance(each, ast.Constant) and each.value is (not neutral) for each in left):
                return ast.Constant(not neutral)
            if not left:
                return ast.Constant(neutral)
            return left[0] if len(left) == 1 else ast.BoolOp(op, left)
    return test
