"""One whole installation for the tests of a file; every test has people of its own."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.environments.installation import Installation, installed

SET_BY_OTHERS = ("WAYPOST_", "SENDGRID_", "TWILIO_", "EMAIL_FROM", "PUBLIC_URL", "DEFAULT_", "API_")
"""Variables of whoever runs the tests that would reach the processes."""


@pytest.fixture(scope="module", autouse=True)
def own_environment() -> Iterator[None]:
    """Processes started here know only what the tests tell them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SET_BY_OTHERS) and name not in ("WAYPOST_PROOF", "WAYPOST_SHARED"):
                patch.delenv(name)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Postgres, Temporal, API, relay and worker; mail and texts go to fakes."""
    async with installed(tmp_path_factory.mktemp("waypost")) as running:
        yield running
