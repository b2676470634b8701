"""Addresses that bounced or complained: their state, and how an operator reopens one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from api.address_states import (
    CHANNEL_BY_ADDRESS_TYPE,
    AddressStatus,
    summarize_address,
)
from api.dependencies import AdminKeyDep, AppState, AppStateDep, Because, require_admin_key
from api.http.outage import run_read
from api.http.problems import Problem, problem_responses, unprocessable
from api.why.wording import mask_address
from profiles.errors import InvalidRequest, NoChange
from profiles.identity.identifiers import normalize_identifier
from profiles.messaging import addresses

router = APIRouter(prefix="/v1/addresses", tags=["Operation"], dependencies=[Depends(require_admin_key)])

_UNPROCESSABLE_RESPONSE = problem_responses({422: "The address is malformed, or must stay closed"})
_NO_CHANGE_RESPONSE = problem_responses({409: "The address is open, or reopened already"})


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """The address that a path names."""

    app_state: AppStateDep
    type: Annotated[Literal["email", "phone", "push_token"], Path(description="What kind of address it is")]
    value: Annotated[str, Path(description="The address, in any spelling")]

    @property
    def channel(self) -> str:
        """Channel of its messages."""
        return CHANNEL_BY_ADDRESS_TYPE[self.type]

    def normal_form(self) -> str:
        """Return the form under which it is stored. Raises ``Problem`` 422."""
        try:
            return normalize_identifier(self.type, self.value, region=self.app_state.settings.region)
        except ValueError as error:
            raise unprocessable(f"this is no address: {error}", ("value", str(error))) from None


NamedAddressDep = Annotated[NamedAddress, Depends()]


class AddressView(BaseModel):
    """An address: what closes it, and the last messages to it. Without names and content."""

    channel: str
    address: str = Field(description="Its normal form, shortened")
    status: AddressStatus = Field(description="By bounces and complaints; consents are not looked at")
    since: datetime | None = Field(description="Since when it is closed")
    until: datetime | None = Field(description="When it opens by itself; null: not by time")
    reason: str
    soft_bounces: list[addresses.SoftBounce]
    opt_outs: list[addresses.AddressOptOut]
    messages: list[addresses.AddressMessage]
    reopenings: list[addresses.Reopening]


class ReopenAddress(Because):
    """For which messages an address is reopened, and why."""

    scope: addresses.ReopenScope = Field(
        default=addresses.ReopenScope.TRANSACTIONAL,
        description='"all": marketing too, where the report was wrong (an outage of the mailbox provider)',
    )


@router.get("/{type}/{value:path}", operation_id="read_address", responses=_UNPROCESSABLE_RESPONSE)
async def read_address(named: NamedAddressDep) -> AddressView:
    """Show an address: open or closed, since when and why, its opt-outs and the last messages to it.

    An address that is not on record is open.
    """
    return await _read(named.app_state, named)


@router.post(
    "/{type}/{value:path}/reopen",
    operation_id="reopen_address",
    responses={**_UNPROCESSABLE_RESPONSE, **_NO_CHANGE_RESPONSE},
)
async def reopen(named: NamedAddressDep, wish: ReopenAddress, caller: AdminKeyDep) -> AddressView:
    """Reopen an address that bounced. In force once this is answered; the log keeps the reason.

    After a hard bounce once only, for transactional messages unless the scope is "all". Opt-outs and
    complaints stay.
    """
    address = named.normal_form()
    change = named.app_state.database.run(
        lambda connection: addresses.reopen_address(
            connection, named.channel, address, wish.scope, reason=wish.reason, actor=caller.actor
        )
    )
    try:
        await named.app_state.change(change)
    except NoChange as refusal:
        raise Problem(409, f"{refusal}; nothing was changed") from None
    except InvalidRequest as refusal:
        raise unprocessable(str(refusal)) from None
    return await _read(named.app_state, named)


async def _read(app_state: AppState, named: NamedAddress) -> AddressView:
    address = named.normal_form()

    async def read(connection: Any) -> addresses.AddressState:
        return await addresses.load_address_state(connection, named.channel, named.type, address)

    state = await run_read(app_state.database, read)
    found = summarize_address(state, app_state.limits, datetime.now(UTC))
    return AddressView(
        channel=state.channel,
        address=mask_address(state.channel, state.address),
        status=found.status,
        since=found.since,
        until=found.until,
        reason=found.reason,
        soft_bounces=state.soft_bounces,
        opt_outs=state.opt_outs,
        messages=state.messages,
        reopenings=state.reopenings,
    )
