"""Checks of what a story may not do itself: ask the clock, draw lots, or reach out of the run.

A run is replayed from its history, on another machine and at another time, and has to come to the same
steps (https://docs.temporal.io/workflow-definition#deterministic-constraints). Names are followed through
the module's imports, whatever they are called there.
"""

import ast
from collections.abc import Iterator, Mapping

from journeys.checks.fault import Fault
from journeys.checks.part import FunctionSource
from journeys.checks.story import Story

_PERFORM = "do it in an activity: await self.perform(…)"
_SAYS: Mapping[str, str] = {
    "holds up every run of the worker; write await self.sleep(minutes(5))": "time.sleep",
    "shows nobody what the run waits for; write await self.sleep(minutes(5))": "asyncio.sleep",
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
_BY_NAME = {name: says for says, names in _SAYS.items() for name in names.split()}
"""What to say of a dotted name; a module stands for all that is in it."""

_ONLY_BARE = ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState")
"""With a seed of the story's own they are the same at each replay."""


def faults(story: Story) -> Iterator[Fault]:
    """Every such call in the story, and every look into the environment."""
    for part in story.parts:
        for node in part.nodes:
            if isinstance(node, ast.Call):
                yield from _call(part, node)
            elif isinstance(node, ast.Attribute | ast.Name) and part.dotted(node) == "os.environ":
                yield part.fault(node, f"os.environ {_BY_NAME['os.environ']}")


def _call(part: FunctionSource, call: ast.Call) -> Iterator[Fault]:
    name = part.dotted(call.func)
    if not name or name.startswith("os.environ"):
        return
    for bare in _ONLY_BARE:
        if name.startswith(f"{bare}()") or (name == bare and (call.args or call.keywords)):
            return
    if name == "asyncio.sleep" and call.args and part.meaning(call.args[0]) == 0:
        return  # Lets the others go on; no time passes.
    if said := _said(name):
        yield part.fault(call, f"{ast.unparse(call.func)}(…) {said}")


def _said(name: str) -> str | None:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if found := _BY_NAME.get(".".join(parts[:count])):
            return found
    return None
