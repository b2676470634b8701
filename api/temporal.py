"""Read access of the API to Temporal: its health, what a run waits for, and links to its web UI."""

import asyncio
from datetime import timedelta
from urllib.parse import quote

from pydantic import BaseModel, Field
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from api.settings import ApiSettings

_DEFAULT_ADDRESS = "127.0.0.1:7233"

_RPC_TIMEOUT = timedelta(seconds=2)

_METADATA_QUERY = "__temporal_workflow_metadata"
"""Built-in query of every workflow; its answer includes the current details."""


class WaitingView(BaseModel):
    """What a run waits for."""

    details: str | None = Field(
        description="Markdown, as the run's workflow reports it; null if it did not answer"
    )
    note: str = Field(description="The origin of the details, or why there are none")


class TemporalGateway:
    """A Temporal client that connects at first use, so that the API starts without Temporal."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._client: Client | None = None

    async def client(self) -> Client:
        """Return the client, which connects at its first call."""
        if self._client is None:
            profile = ClientConfig.load_client_connect_config(disable_file=self._settings.waypost_local)
            profile["target_host"] = (
                self._settings.temporal_address or profile.get("target_host") or _DEFAULT_ADDRESS
            )
            if self._settings.temporal_namespace:
                profile["namespace"] = self._settings.temporal_namespace
            self._client = await Client.connect(**profile, data_converter=pydantic_data_converter, lazy=True)
        return self._client

    async def health_error(self) -> str | None:
        """Return why Temporal cannot be used, or None while it is healthy. Takes about a second at most."""
        try:
            async with asyncio.timeout(1.0):
                client = await self.client()
                healthy = await client.service_client.check_health(timeout=_RPC_TIMEOUT)
        except TimeoutError:
            return "Temporal does not answer within a second"
        except (RPCError, RuntimeError, OSError, ValueError) as error:
            return f"Temporal cannot be reached: {error}"[:300]
        return None if healthy else "Temporal says it is not serving"

    async def load_waiting_view(self, workflow_id: str, temporal_run_id: str | None) -> WaitingView:
        """Query a run for what it waits for. Never raises: an error becomes the note."""
        try:
            async with asyncio.timeout(2.5):
                client = await self.client()
                handle = client.get_workflow_handle(workflow_id, run_id=temporal_run_id)
                answer = await handle.query(
                    _METADATA_QUERY, result_type=WorkflowMetadata, rpc_timeout=_RPC_TIMEOUT
                )
        except RPCError as error:
            note = _describe_rpc_error(error)
        except TimeoutError:
            note = "no answer within 2 seconds: no worker runs, or Temporal is away"
        except Exception as error:
            # Queries fail in many ways (a failing workflow, another version's worker); no reader can fix any.
            note = f"the run could not be asked: {type(error).__name__}: {error}"[:300]
        else:
            return WaitingView(details=answer.current_details or None, note="as the run says itself")
        return WaitingView(details=None, note=note)

    def ui_url(self, workflow_id: str, temporal_run_id: str | None) -> str | None:
        """Return the URL of the run in the Temporal web UI, or None if no UI is configured."""
        base = self._settings.temporal_ui_url.rstrip("/")
        if not base:
            return None
        namespace = self._settings.temporal_namespace or (
            self._client.namespace if self._client else "default"
        )
        place = f"{base}/namespaces/{quote(namespace, safe='')}/workflows/{quote(workflow_id, safe='')}"
        return f"{place}/{quote(temporal_run_id, safe='')}/history" if temporal_run_id else place


def _describe_rpc_error(error: RPCError) -> str:
    if error.status is RPCStatusCode.NOT_FOUND:
        return "Temporal does not know this run yet (the relay delivers it), or no longer"
    if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return "no answer within 2 seconds: no worker runs that could tell"
    if error.status is RPCStatusCode.UNAVAILABLE:
        return "Temporal cannot be reached"
    return f"the run could not be asked: {error.message}"[:300]
