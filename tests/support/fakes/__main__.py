"""Runs both fakes for tests in other processes: ``python -m tests.support.fakes SENDGRID_PORT TWILIO_PORT``.

Each server takes ``POST /_mode`` with any of: ``{"script": ["accept_then_hang", {"name": "reject",
"status": 403}], "default": "accept", "release": true, "refuse_s": 2.0, "clear": true}``. ``refuse_s``
refuses connections for so long. ``GET /_calls`` and ``GET /_ledger`` tell what came and what was taken.
Port 0 takes a free one; the ports are printed as one line of JSON once both listen.
"""

import argparse
import asyncio
import json
import signal
from pathlib import Path

from tests.support.fakes.ledger import DeliveryLedger
from tests.support.fakes.sendgrid import FakeSendGrid
from tests.support.fakes.twilio import FakeTwilio


async def serve(sendgrid_port: int, twilio_port: int, ledger: Path | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    book = DeliveryLedger(ledger)
    async with FakeSendGrid(book, port=sendgrid_port) as mail, FakeTwilio(book, port=twilio_port) as text:
        print(json.dumps({"sendgrid": mail.url, "twilio": text.url}), flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fakes", description=__doc__)
    parser.add_argument("sendgrid_port", type=int)
    parser.add_argument("twilio_port", type=int)
    parser.add_argument("--ledger", type=Path, help="file for one JSON line per delivery")
    given = parser.parse_args()
    asyncio.run(serve(given.sendgrid_port, given.twilio_port, given.ledger))


if __name__ == "__main__":
    main()
