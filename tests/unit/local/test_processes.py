"""Child processes of a local stack: followed, stopped, killed, and never left behind."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from local import parent_watch
from local.processes import ChildExited, ChildProcess, Command, StackError
from tests.support.deadlines import scaled
from tests.support.faults.processes import ended, wait_until

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""

LISTENING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(60)
"""


def python(code: str) -> Command:
    argv = [sys.executable, "-c", code]
    return Command("child", argv, dict(os.environ), ready_line=re.compile("ready"))


async def test_every_line_is_passed_on_with_the_name_of_its_process() -> None:
    heard: list[tuple[str, str]] = []
    child = ChildProcess(
        python("print('one'); print('two', end='')"), lambda name, line: heard.append((name, line))
    )

    await child.start()
    code = await child.wait()

    assert code == 0
    assert heard == [("child", "one"), ("child", "two")]


async def test_a_child_that_dies_before_it_is_ready_is_reported_with_its_last_lines() -> None:
    child = ChildProcess(python("import sys; print('the reason'); sys.exit(3)"))
    await child.start()

    with pytest.raises(ChildExited, match=r"exit code 3; its last lines:\n    the reason"):
        await child.wait_until_ready(timeout_s=scaled(10))


async def test_a_child_that_never_gets_ready_is_given_up_in_time() -> None:
    child = ChildProcess(python("import time; time.sleep(60)"))
    await child.start()

    with pytest.raises(StackError, match="not ready within"):
        await child.wait_until_ready(timeout_s=0.2)

    await child.kill()


async def test_a_child_that_does_not_listen_is_killed_after_its_grace() -> None:
    child = ChildProcess(python(DEAF))
    await child.start()
    await child.wait_until_ready(timeout_s=scaled(10))
    begun = time.monotonic()

    await child.stop(grace_s=0.3)

    assert not child.running
    assert time.monotonic() - begun < scaled(5)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signal and /proc are Linux's")
@pytest.mark.parametrize(
    "before", ["", "parent._LIBC = None"], ids=["by the kernel", "by a process that watches"]
)
def test_a_killed_parent_takes_its_child_with_it(tmp_path: Path, before: str) -> None:
    note = tmp_path / "pid"
    write = f"pathlib.Path({str(note)!r}).write_text(f'{{os.getpid()}}.')"
    worker = f"import os, pathlib, time; {write}; time.sleep(60)"
    script = textwrap.dedent(f"""
        import asyncio, os, sys
        from local import parent_watch as parent
        from local.processes import ChildProcess, Command
        {before}
        async def main():
            command = Command("child", [sys.executable, "-c", {worker!r}], dict(os.environ))
            await ChildProcess(command).start()
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    owner = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.getcwd()})
    try:
        assert wait_until(lambda: note.exists() and note.read_text().endswith("."))
        pid = int(note.read_text().rstrip("."))
        assert not ended(pid)

        owner.send_signal(signal.SIGKILL)
        owner.wait()

        assert wait_until(lambda: ended(pid))
    finally:
        owner.kill()
        owner.wait()


def test_the_watching_process_hands_on_signals_and_the_exit_code() -> None:
    argv = [sys.executable, parent_watch.__file__, str(os.getpid()), "9", sys.executable, "-c", LISTENING]
    watcher = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    with watcher.stdout as said:
        assert said.readline() == "ready\n"

    watcher.terminate()

    assert watcher.wait(scaled(10)) == 7
