"""Read a journey's code into a flow; the journey is not run."""

import ast
from collections.abc import Iterator, Sequence

from authoring.graph.expressions import ExpressionFlow, Leave, OwnMethods, inline
from authoring.graph.flow import Ends, Flow, FlowBuilder, Interrupt, Kind, Loop, OpenEnd, StepResult
from authoring.graph.phrasing import Phrasing
from authoring.graph.scope import StoryCode, bound_names, code_of
from journeys.source.reader import Function, UnreadableSource
from journeys.source.vocabulary import argument
from journeys.vocabulary import Segment, Sent, Unknown, Withheld, exit_on, goal
from journeys.vocabulary.definition import PERSON, JourneyDefinition
from journeys.vocabulary.durations import format_rounded_duration
from journeys.vocabulary.endings import Ending, RunEnding
from policy.reentry import After, AtMost, Once, Reentry, Unlimited
from profiles.events import Event

_UNITS = {"1 min": "minute", "1 h": "hour", "1 day": "day"}

_MESSAGES = ((Sent, "sent"), (Withheld, "withheld"), (Unknown, "unknown"))


def flow_of(definition: JourneyDefinition) -> Flow:
    """The flow of a journey. Raises ``UnreadableSource``."""
    code = code_of(definition)
    phrasing, builder = Phrasing(code), FlowBuilder()
    starts = " or ".join(map(_entry, definition.entries))
    entry = builder.add(Kind.ENTRY, starts, _entry_details(code, phrasing), ())
    try:
        ends = StatementReader(builder, phrasing, OwnMethods(code)).read(code.run.body, (OpenEnd(entry),))
    except RecursionError as error:
        raise UnreadableSource(
            f"the story of {definition.name} is nested too deeply to be drawn; move parts of it into methods"
        ) from error
    if ends:
        # The outcome of a run that returns nothing.
        builder.add(Kind.END, "None", (), ends)
    return Flow(
        journey=definition.name,
        summary=definition.summary,
        nodes=tuple(builder.nodes),
        edges=tuple(builder.edges),
        interrupts=tuple(_interrupts(code, phrasing)),
    )


def _entry(entry: type[Event] | Segment) -> str:
    if not isinstance(entry, Segment):
        return entry.event_name
    length = format_rounded_duration(entry.every)
    every = _UNITS.get(length, length)
    enters = "who belongs to or enters" if entry.existing else "enters"
    return f"{enters} segment {entry.name} (every {every})"


def _entry_details(code: StoryCode, phrasing: Phrasing) -> list[str]:
    """How a run starts: filter, key, re-entry; cases that hold its marketing messages; and the holdout."""
    definition = code.definition
    lines = []
    if definition.where is not None:
        written = code.declared.get("where")
        lines.append(f"where {phrasing.filter(written) if written else definition.where.__name__}")
    lines.append(f"one live run per {_key(code, phrasing)}")
    if reentry := _reentry(definition.reentry):
        lines.append(reentry)
    if definition.hold_while:
        lines.append(f"silent while {' or '.join(hold.says for hold in definition.hold_while)} is open")
    if definition.holdout:
        lines.append(f"{definition.holdout:g}% get nothing, to be measured against")
    return lines


def _key(code: StoryCode, phrasing: Phrasing) -> str:
    by, written = code.definition.keyed_by, code.declared.get("keyed_by")
    if isinstance(by, str):
        return "person" if by == PERSON else by.removesuffix("_id").replace("_", " ")
    return phrasing.key(written) if isinstance(written, ast.expr) else getattr(by, "__name__", "key")


def _reentry(reentry: Reentry) -> str:
    match reentry:
        case After(period=period):
            return f"again {format_rounded_duration(period)} after the last entry"
        case Once():
            return "once for ever"
        case AtMost(times=times):
            return f"{times} times at most"
        case Unlimited():
            return ""


def _interrupts(code: StoryCode, phrasing: Phrasing) -> Iterator[Interrupt]:
    """Each event of each ending of the declaration, with the outcome and the reason."""
    endings = code.definition.ends_on
    written = code.declared.get("ends_on")
    each = written.elts if isinstance(written, ast.Tuple) else [written]
    # Where they are not written one by one in the declaration, their filters cannot be phrased.
    calls = each if len(each) == len(endings) else [None] * len(endings)
    for ending, call in zip(endings, calls, strict=True):
        for kind in ending.events:
            yield _interrupt(ending, kind, _reason(call, phrasing))


def _reason(written: ast.expr | None, phrasing: Phrasing) -> str | None:
    """The kind of an ending and its filter as a phrase; None where the code is not a goal or an exit."""
    if not isinstance(written, ast.Call) or phrasing.resolve(written.func) not in (goal, exit_on):
        return None
    where = argument(written, "where")
    reason = "goal reached" if phrasing.resolve(written.func) is goal else "exit"
    return reason if where is None else f"{reason}, where {phrasing.filter(where)}"


def _interrupt(ending: Ending, kind: type[Event], reason: str | None) -> Interrupt:
    """Return the outcome and reason of an event; of a rule with unknown code, those for an empty event."""
    only = ending.outcomes[0] if len(ending.outcomes) == 1 else "ended"
    if reason is not None:
        return Interrupt(kind.event_name, only, reason)
    ended = _ended_by(ending, kind)
    if ended is None:
        return Interrupt(kind.event_name, only, "by a rule of this journey")
    return Interrupt(kind.event_name, ended.outcome, ended.reason.removesuffix(f": {kind.event_name}"))


def _ended_by(ending: Ending, kind: type[Event]) -> RunEnding | None:
    """The rule's result for an event without properties and an empty cart."""
    try:
        return ending.evaluate(kind.model_construct(), ())
    except Exception:
        # An author's own rule, which reads the event's properties.
        return None


class StatementReader:
    """Adds the steps of statements to a flow."""

    def __init__(self, flow: FlowBuilder, phrasing: Phrasing, own: OwnMethods) -> None:
        self._flow = flow
        self._phrasing = phrasing
        self._own = own
        self._expressions = ExpressionFlow(flow, phrasing, own, self._read_method)
        self._leave: Leave = self._end

    def read(self, statements: Sequence[ast.stmt], ends: Ends) -> Ends:
        """Add these statements; returns the open ends after them. Unreachable ones are left out."""
        for statement in statements:
            if not ends:
                break
            if self._own.is_shown(statement) or isinstance(statement, ast.Assign):
                ends = self._statement(statement, ends)
        return ends

    def _statement(self, statement: ast.stmt, ends: Ends) -> Ends:
        match statement:
            case ast.Return(value=value):
                return self._return(value, ends)
            case ast.Raise(exc=error):
                self._flow.add(Kind.END, f"raises {ast.unparse(error)}" if error else "raises", (), ends)
                return ()
            case ast.Break():
                self._flow.loops[-1].exits.extend(ends)
                return ()
            case ast.Continue():
                self._flow.add_back_edges(ends, self._flow.loops[-1].start)
                return ()
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                ends = self._expressions.add_steps(value, ends)
                self._expressions.bind(target, value)
                return ends
            case ast.If(test=test, body=body, orelse=other):
                holds, fails = self._expressions.branches(test, ends)
                return self.read(body, holds) + self.read(other, fails)
            case ast.While() | ast.For() | ast.AsyncFor():
                return self._loop(statement, ends)
            case ast.Match():
                return self._match(statement, ends)
            case ast.Try() | ast.TryStar():
                return self._try(statement, ends)
            case ast.With() | ast.AsyncWith():
                return self._with(statement, ends)
        for part in ast.iter_child_nodes(statement):
            if isinstance(part, ast.expr):
                ends = self._expressions.add_steps(part, ends)
        return ends

    def _return(self, value: ast.expr | None, ends: Ends) -> Ends:
        call = value.value if isinstance(value, ast.Await) else value
        if isinstance(value, ast.IfExp):
            holds, fails = self._expressions.branches(value.test, ends)
            self._return(value.body, holds)
            self._return(value.orelse, fails)
        elif (
            isinstance(call, ast.Call) and (function := self._own.inlined(call)) and self._own.has_step(call)
        ):
            # The method's return value is returned here.
            for part in (*call.args, *(each.value for each in call.keywords)):
                ends = self._expressions.add_steps(part, ends)
            self._read_method(function, call, ends, self._leave)
        elif ends:
            self._leave(value, ends)
        return ()

    def _end(self, value: ast.expr | None, ends: Ends) -> None:
        ends = self._expressions.add_steps(value, ends)
        if ends:
            self._flow.add(Kind.END, "None" if value is None else self._phrasing.value(value), (), ends)

    def _read_method(self, function: Function, call: ast.Call, ends: Ends, leave: Leave) -> None:
        if not ends:
            return
        inside = inline(function, call)
        around, outer = self._phrasing.names, self._leave
        self._phrasing.names = around.within(inside.body, inside.parameters)
        self._leave = leave
        self._own.enter(function)
        left = self.read(inside.body, ends)
        if left:
            self._leave(None, left)
        self._own.leave()
        self._phrasing.names, self._leave = around, outer

    def _loop(self, loop: ast.While | ast.For | ast.AsyncFor, ends: Ends) -> Ends:
        if isinstance(loop, ast.While):
            start, holds, fails = self._while(loop.test, ends)
        else:
            ends = self._expressions.add_steps(loop.iter, ends)
            title = self._phrasing.each(loop.target, loop.iter)
            start = self._flow.add(Kind.LOOP, title, (), ends)
            self._phrasing.names.loop_variables |= set(bound_names([loop.target]))
            holds, fails = (OpenEnd(start, "next"),), (OpenEnd(start, "done"),)
        current = Loop(start)
        self._flow.loops.append(current)
        self._flow.add_back_edges(self.read(loop.body, holds), current.start)
        self._flow.loops.pop()
        return self.read(loop.orelse, fails) + tuple(current.exits)

    def _while(self, test: ast.expr, ends: Ends) -> tuple[str, Ends, Ends]:
        """The first step of a loop, and the open ends into its body and out of it."""
        first = len(self._flow.nodes)
        if isinstance(test, ast.Constant):
            start = self._flow.add(Kind.LOOP, "again and again", (), ends)
            return start, *self._expressions.branches(test, (OpenEnd(start),))
        if self._own.has_step(test):
            holds, fails = self._expressions.branches(test, ends)
            if len(self._flow.nodes) > first:
                return self._flow.nodes[first].id, holds, fails
        start = self._flow.add(Kind.LOOP, f"{self._phrasing.condition(test)}?", (), ends)
        return start, (OpenEnd(start, "yes"),), (OpenEnd(start, "no"),)

    def _match(self, match: ast.Match, ends: Ends) -> Ends:
        ends, result = self._expressions.subject(match.subject, ends)
        if not ends:
            return ()
        node = result.node if result else self._subject_choice(match.subject, ends)
        known = result or self._phrasing.names.result(match.subject)
        every = known.cases | {known.arm_label(arm) for arm, _ in known.arms} if known else frozenset()
        left = set(every) or {"anything else"}
        after: Ends = ()
        for case in match.cases:
            label = self._label(case.pattern, known, left)
            if case.guard is None:
                left -= self._covered(case.pattern, label, left, known)
            else:
                label += f", if {self._phrasing.condition(case.guard)}"
            after += self.read(case.body, result.case(label) if result else (OpenEnd(node, label),))
        return after + ((OpenEnd(node, "anything else"),) if left else ())

    def _label(self, pattern: ast.pattern, known: StepResult | None, left: set[str]) -> str:
        whole = isinstance(pattern, ast.MatchAs) and pattern.pattern is None
        if whole and known and known.arms:
            return known.other_arms_label(*(arm for arm, _ in known.arms if known.arm_label(arm) not in left))
        return _case_label(pattern, known, self._phrasing)

    def _covered(
        self, pattern: ast.pattern, label: str, left: set[str], known: StepResult | None
    ) -> set[str]:
        """The remaining cases that a pattern covers."""
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
            return set(left)
        if known and known.is_draw and isinstance(pattern, ast.MatchOr):
            return {_case_label(each, known, self._phrasing) for each in pattern.patterns}
        return {case for case in left if case == label or case in label.split(" or ")}

    def _subject_choice(self, subject: ast.expr, ends: Ends) -> str:
        known = self._phrasing.names.result(subject)
        title = f"what became of {known.name}?" if known else f"{self._phrasing.value(subject)}?"
        return self._flow.add(Kind.CHOICE, title, (), ends)

    def _try(self, attempt: ast.Try | ast.TryStar, ends: Ends) -> Ends:
        node = self._flow.add(Kind.CHOICE, "does it work?", (), ends) if attempt.handlers else ""
        after = self.read(attempt.body, (OpenEnd(node, "try"),) if node else ends)
        after = self.read(attempt.orelse, after)
        for handler in attempt.handlers:
            label = f"on {ast.unparse(handler.type)}" if handler.type else "on any error"
            after += self.read(handler.body, (OpenEnd(node, label),))
        return self.read(attempt.finalbody, after)

    def _with(self, block: ast.With | ast.AsyncWith, ends: Ends) -> Ends:
        for item in block.items:
            ends = self._expressions.add_steps(item.context_expr, ends)
        if isinstance(block, ast.AsyncWith):
            text = ", ".join(ast.unparse(item) for item in block.items)
            ends = (OpenEnd(self._flow.add(Kind.CALL, f"within {text}", (), ends)),)
        return self.read(block.body, ends)


def _case_label(pattern: ast.pattern, result: StepResult | None, phrasing: Phrasing) -> str:
    """The label of a case of a ``match``; ``result`` is that of its subject, where a step has it."""
    draw = result if result and result.is_draw else None
    match pattern:
        case ast.MatchClass(cls=cls):
            found = phrasing.resolve(cls)
            return next((label for kind, label in _MESSAGES if kind is found), "") or phrasing.event(cls)
        case ast.MatchSingleton(value=None) if result:
            return result.fails or "never"
        case ast.MatchSingleton(value=value):
            return str(value)
        case ast.MatchOr(patterns=patterns):
            names = [_case_label(each, None if draw else result, phrasing) for each in patterns]
            return draw.arm_label(*names) if draw else " or ".join(names)
        case ast.MatchValue(value=expression):
            label = phrasing.value(expression)
            return draw.arm_label(label) if draw else label
        case ast.MatchSequence() if result and "all came" in result.cases:
            return "all came"
        case ast.MatchAs(pattern=None):
            return "anything else"
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return _case_label(inner, result, phrasing)
    return ast.unparse(pattern)
