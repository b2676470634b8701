"""Check that a journey is deterministic: no clock, no random numbers, no input or output, no order of a set.

A run is replayed from its history, on another machine and at another time, and has to take the same steps
(https://docs.temporal.io/workflow-definition#deterministic-constraints). Names are followed through imports.
"""

import ast
from collections.abc import Iterator, Mapping

from journeys.checks.errors import JourneyFault, fault_at
from journeys.source.reader import FunctionSource, JourneySource

_PERFORM = "do it in an activity: await self.perform(…)"
_REASONS: Mapping[str, str] = {
    "holds up every run of the worker; write await self.sleep(minutes(5))": "time.sleep",
    "hides what the run waits for; write await self.sleep(minutes(5))": "asyncio.sleep",
    "tells another time at each replay; write self.now()": """
        time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
        time.localtime time.gmtime time.ctime datetime.datetime.now datetime.datetime.utcnow
        datetime.datetime.today datetime.date.today pendulum.now arrow.now arrow.utcnow""",
    "comes out differently at each replay; write self.choose(…), self.experiment(…) or workflow.random()": """
        random numpy.random secrets os.urandom os.getrandom""",
    "comes out differently at each replay; write workflow.uuid4()": """
        uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 uuid_utils profiles.db.sql""",
    f"reaches out of the run, and holds up all others meanwhile; {_PERFORM}": """
        builtins.open builtins.input io.open requests httpx httpx2 aiohttp urllib.request urllib3
        http.client socket smtplib ftplib subprocess sqlite3 asyncpg psycopg psycopg2 sqlalchemy sqlmodel
        redis boto3 sendgrid twilio shutil tempfile os.system os.popen os.listdir os.scandir os.walk
        os.stat os.open os.remove os.unlink os.mkdir os.makedirs os.rename
        pathlib.Path().read_text pathlib.Path().read_bytes pathlib.Path().write_text
        pathlib.Path().write_bytes pathlib.Path().open pathlib.Path().exists pathlib.Path().iterdir
        pathlib.Path().glob""",
    f"differs from machine to machine; write the value into the story, or {_PERFORM}": """
        os.environ os.getenv os.getpid platform""",
    f"happens beside the run, and is not replayed; {_PERFORM}": """
        threading multiprocessing concurrent.futures asyncio.to_thread asyncio.run
        asyncio.create_subprocess_exec asyncio.create_subprocess_shell""",
    "goes through a set, in another order at each replay; write workflow.wait(…)": "asyncio.wait",
    "goes through a set, in another order at each replay; write workflow.as_completed(…)": """
        asyncio.as_completed""",
}
_REASON_OF = {name: reason for reason, names in _REASONS.items() for name in names.split()}
"""Dotted names that may not be used, with the reason; a module stands for all its names."""

_ALLOWED_WITH_SEED = ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState")
"""Allowed with a seed from the journey: then the values are the same at each replay."""


def check_outside_calls(source: JourneySource) -> Iterator[JourneyFault]:
    """Find calls with a result that differs at each replay, and reads of the environment."""
    for function in source.functions:
        for node in function.nodes:
            if isinstance(node, ast.Call):
                yield from _outside_call(function, node)
            elif isinstance(node, ast.Attribute | ast.Name) and function.qualified_name(node) == "os.environ":
                yield fault_at(function, node, f"os.environ {_REASON_OF['os.environ']}")


def _outside_call(function: FunctionSource, call: ast.Call) -> Iterator[JourneyFault]:
    name = function.qualified_name(call.func)
    if not name or name.startswith("os.environ"):
        return
    for seeded in _ALLOWED_WITH_SEED:
        if name.startswith(f"{seeded}()") or (name == seeded and (call.args or call.keywords)):
            return
    if name == "asyncio.sleep" and call.args and function.resolve(call.args[0]) == 0:
        return  # Yields control to other tasks; no time passes.
    if reason := _reason(name):
        yield fault_at(function, call, f"{ast.unparse(call.func)}(…) {reason}")


def _reason(name: str) -> str | None:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if reason := _REASON_OF.get(".".join(parts[:count])):
            return reason
    return None


_SET_TYPES = ("builtins.set", "builtins.frozenset")
_KEEP_ORDER = ("list", "tuple", "enumerate", "iter", "zip", "map", "filter", "next")
_HAVE_NO_ORDER = ("sorted", "set", "frozenset", "len", "any", "all", "min", "max", "sum", "bool")
_UNORDERED = (
    "is a set, and its order differs from process to process, so a replay takes other steps; write sorted(…) "
    "around it, or dict.fromkeys(…) for set(…)"
)


def check_order(source: JourneySource) -> Iterator[JourneyFault]:
    """Find loops, lists and tuples that take their order from a set."""
    for function in source.functions:
        for node in function.nodes:
            for iterable in _iterables(function, node):
                if _is_set(function, iterable):
                    yield fault_at(function, iterable, f"{ast.unparse(iterable)} {_UNORDERED}")


def _iterables(function: FunctionSource, node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.For(iter=iterable) | ast.Starred(value=iterable):
            yield iterable
        case ast.ListComp() | ast.DictComp():
            yield from (each.iter for each in node.generators)
        case ast.GeneratorExp():
            if not _is_call(function, function.parents.get(node), _HAVE_NO_ORDER):
                yield from (each.iter for each in node.generators)
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[iterable]):
            yield iterable
        case ast.Call(args=given) if _is_call(function, node, _KEEP_ORDER):
            if not _is_call(function, function.parents.get(node), _HAVE_NO_ORDER):
                yield from given
        case ast.Call(func=called, args=[iterable, *_]) if (
            function.qualified_name(called) == "builtins.dict.fromkeys"
        ):
            yield iterable


def _is_call(function: FunctionSource, node: ast.AST | None, names: tuple[str, ...]) -> bool:
    return (
        isinstance(node, ast.Call) and function.qualified_name(node.func).removeprefix("builtins.") in names
    )


def _is_set(function: FunctionSource, expression: ast.expr, deep: int = 4) -> bool:
    match expression:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=called):
            return function.qualified_name(called) in _SET_TYPES
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() | ast.Sub() | ast.BitXor()) if deep:
            return _is_set(function, left, deep - 1)
        case ast.Name(id=name) if deep and function.bindings.get(name) == 1:
            given = [
                each.value
                for each in ast.walk(function.node)
                if isinstance(each, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == name for t in each.targets)
            ]
            return bool(given) and _is_set(function, given[0], deep - 1)
        case ast.Name():
            return isinstance(function.resolve(expression), set | frozenset)
    return False
