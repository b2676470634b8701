"""The Temporal client of a process, and the search attributes of runs."""

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from activities.data_converter import DATA_CONVERTER
from workers.settings import WorkerSettings

CUSTOMER_ID_ATTRIBUTE = SearchAttributeKey.for_keyword("CustomerId")

JOURNEY_KEY_ATTRIBUTE = SearchAttributeKey.for_keyword("JourneyKey")

SEARCH_ATTRIBUTES = (CUSTOMER_ID_ATTRIBUTE.name, JOURNEY_KEY_ATTRIBUTE.name)
"""Keyword attributes set when a run starts. An unregistered one would block the run permanently."""

_REGISTRATION_REFUSED = frozenset(
    {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED}
)

log = structlog.get_logger("temporal")

_LOCAL_ADDRESS = "127.0.0.1:7233"


async def connect_temporal(settings: WorkerSettings, *, lazy: bool = False) -> Client:
    """Return the client of this process. Use one for the lifetime of the process.

    Address, namespace, TLS and API key come from the environment and profile file as the Temporal SDK
    reads them. A local stack ignores the profile file, which is for other servers.
    ``lazy`` connects at first use, so that a process can start while Temporal is down; a worker cannot use
    such a client. Raises ``RuntimeError`` if Temporal is not reachable and ``lazy`` is not set.
    """
    profile = ClientConfig.load_client_connect_config(disable_file=settings.waypost_local)
    # ``settings`` takes precedence, so that the values checked at start are the ones used.
    profile["target_host"] = settings.temporal_address or profile.get("target_host") or _LOCAL_ADDRESS
    if "temporal_namespace" in settings.model_fields_set:
        profile["namespace"] = settings.temporal_namespace
    return await Client.connect(**profile, data_converter=DATA_CONVERTER, lazy=lazy)


async def ensure_search_attributes(client: Client) -> None:
    """Register the missing search attributes. Idempotent, also when several processes start at once.

    Temporal Cloud has no such call: there they are created with its own tools, and a refusal
    (``PERMISSION_DENIED``, ``UNIMPLEMENTED``) is explained by ``waypost doctor``.
    """
    missing = await missing_search_attributes(client)
    if not missing:
        return
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def try_search_attributes(client: Client) -> None:
    """Register the missing search attributes, where the server lets us. Idempotent.

    A server that has no such call, or refuses it (Temporal Cloud), is logged: the attributes may exist all
    the same, and a start without them is refused and retried. Raises other errors of Temporal.
    """
    try:
        await ensure_search_attributes(client)
    except RPCError as error:
        if error.status not in _REGISTRATION_REFUSED:
            raise
        log.warning(
            "search attributes cannot be registered: create CustomerId and JourneyKey as Keyword",
            namespace=client.namespace,
            error=f"{error.status.name}: {error.message}"[:200],
        )


async def missing_search_attributes(client: Client) -> list[str]:
    """Return the names of ``SEARCH_ATTRIBUTES`` that the namespace does not have yet."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]
