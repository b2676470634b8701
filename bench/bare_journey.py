"""Bare counterpart of the cart journey on the Temporal SDK: the same waits and as many activities."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

QUEUE = "bench-bare"
QUIET_PERIOD = timedelta(hours=1)
FIRST_WAIT = timedelta(days=1)
LAST_WAIT = timedelta(days=2)


@dataclass
class BareEvent:
    """Payload of a signal or an activity."""

    run: str
    what: str
    """Of a signal: added or bought. Of an activity: the name of the effect."""


@workflow.defn(name="bare-cart")
class BareCartWorkflow:
    """A quiet hour, two effects, a day, one effect, two days, a last effect. A purchase ends each wait."""

    @workflow.init
    def __init__(self, run: str) -> None:
        self._signal_count = 0
        self._bought = False

    @workflow.signal
    def told(self, event: BareEvent) -> None:
        """Handle a change of the cart."""
        self._signal_count += 1
        self._bought = self._bought or event.what == "bought"

    @workflow.run
    async def run(self, run: str) -> str:
        """Run the journey; returns its outcome, "bought" or "nudged"."""
        if not await self._is_bought_while_quiet():
            await _insert(run, "reminder")
            await _insert(run, "audience")
            if not await self._is_bought_within(FIRST_WAIT):
                await _insert(run, "offer")
                await self._is_bought_within(LAST_WAIT)
        await _insert(run, "close")
        return "bought" if self._bought else "nudged"

    async def _is_bought_while_quiet(self) -> bool:
        count_before = -1
        while count_before != self._signal_count:
            count_before = self._signal_count
            if await self._is_bought_within(QUIET_PERIOD):
                return True
        return False

    async def _is_bought_within(self, length: timedelta) -> bool:
        try:
            await workflow.wait_condition(lambda: self._bought, timeout=length)
        except TimeoutError:
            return False
        return True


async def _insert(run: str, what: str) -> None:
    await workflow.execute_activity(
        "insert", BareEvent(run, what), start_to_close_timeout=timedelta(seconds=30)
    )
