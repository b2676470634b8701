"""Server of the HTTP API, on uvicorn."""

import contextlib
import socket

import structlog
import uvicorn
from fastapi import FastAPI

from workers.http_protocol import TimedHttpProtocol
from workers.settings import ServerSettings

_SHUTDOWN_GRACE_S = 5

log = structlog.get_logger("api")


class _LoggingServer(uvicorn.Server):
    """A server that logs ``ready`` with its address once it accepts requests."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            log.info("ready", address=f"http://{self.config.host}:{self.config.port}")


def serve_app(app: FastAPI, settings: ServerSettings) -> None:
    """Serve until SIGINT or SIGTERM. Running requests then have a few seconds to finish."""
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        # Logging is configured for all libraries in one place; an access log would add nothing to the events.
        log_config=None,
        access_log=False,
        server_header=False,
        http=TimedHttpProtocol,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
    )
    server = _LoggingServer(config)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has shut down
        server.run()
    if not server.started:
        raise SystemExit(1)
