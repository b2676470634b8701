"""Serves the HTTP API with uvicorn."""

import uvicorn
from fastapi import FastAPI

from workers.settings import ServerSettings

_GRACE_S = 5


def serve(app: FastAPI, settings: ServerSettings) -> None:
    """Serve until SIGINT or SIGTERM, then let requests under way finish for a few seconds."""
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        # Ours: one log for all libraries; and who asked for what is in the events themselves.
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
