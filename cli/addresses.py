"""``waypost address``: the state of an address, and how an operator reopens one that bounced."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from api.address_states import (
    CHANNEL_BY_ADDRESS_TYPE,
    AddressStatus,
    AddressSummary,
    summarize_address,
)
from api.why.wording import mask_address
from cli.database import current_actor, open_database, parse_identifier
from cli.tables import build_table, render_text, to_json
from policy.config.settings import PolicySettings
from profiles.db.database import Database
from profiles.messaging.addresses import AddressState, ReopenScope, load_address_state, reopen_address

_STATUS_TEXTS = {
    AddressStatus.OPEN: "open",
    AddressStatus.CLOSED_FOR_MARKETING: "closed for marketing",
    AddressStatus.CLOSED: "closed for all messages",
}


async def show_address(value: str, *, full: bool, as_json: bool) -> str:
    """Return the state of an address, as text or as JSON. Raises ``UserError``.

    ``full``: with the whole address, which is shortened otherwise.
    """
    kind, address = _parse_address(value)
    async with open_database() as database:
        return await _render(database, kind, address, full=full, as_json=as_json)


async def reopen(value: str, scope: ReopenScope, *, reason: str, as_json: bool) -> str:
    """Reopen an address, and return its state then. Raises ``UserError``."""
    kind, address = _parse_address(value)
    channel = CHANNEL_BY_ADDRESS_TYPE[kind]
    why = reason.strip()[:500] or "by hand"
    async with open_database() as database:
        await database.run(
            lambda connection: reopen_address(
                connection, channel, address, scope, reason=why, actor=current_actor()
            )
        )
        return await _render(database, kind, address, full=False, as_json=as_json)


def _parse_address(value: str) -> tuple[str, str]:
    """Return type and normal form: an email address with "@", else a number. Raises ``UserError``."""
    kind = "email" if "@" in value else "phone"
    return kind, parse_identifier(kind, value).partition(":")[2]


async def _render(database: Database, kind: str, address: str, *, full: bool, as_json: bool) -> str:
    async def read(connection: Any) -> AddressState:
        return await load_address_state(connection, CHANNEL_BY_ADDRESS_TYPE[kind], kind, address)

    state = await database.run(read)
    if not full:
        state = replace(state, address=mask_address(state.channel, state.address))
    found = summarize_address(state, PolicySettings().policy.limits, datetime.now(UTC))
    if as_json:
        # The fields of the HTTP API.
        fields = asdict(state) | {"status": found.status, "since": found.since, "until": found.until}
        fields["reason"] = found.reason
        return (
            to_json({name: fields[name] for name in fields if name not in ("problem", "reopened_at")}) + "\n"
        )
    return _format(state, found)


def _format(state: AddressState, found: AddressSummary) -> str:
    until = f" until {_instant(found.until)}" if found.until else ""
    since = f" since {_instant(found.since)}" if found.since else ""
    text = (
        f"{state.address} ({state.channel}): {_STATUS_TEXTS[found.status]}{since}{until}: {found.reason}.\n"
    )
    topics = [f"{each.topic} ({each.source}, {_instant(each.at)})" for each in state.opt_outs]
    text += f"Opted out of: {', '.join(topics) or 'nothing'}.\n"
    tables = []
    if state.soft_bounces:
        bounces = ((each.time, each.word, each.lifted_at, each.lifted_by) for each in state.soft_bounces)
        headings = ["at", "provider's word", "stopped counting", "by"]
        tables.append(build_table("Soft bounces", headings, bounces, drop_empty=True))
    if state.messages:
        messages = (
            (
                each.decided_at,
                each.template,
                each.message_class,
                each.status,
                each.profile_id,
                each.message_id,
            )
            for each in state.messages
        )
        headings = ["decided", "template", "class", "status", "profile", "message"]
        tables.append(build_table("Last messages", headings, messages))
    if state.reopenings:
        reopenings = (
            (each.at, each.problem, each.scope, each.reason, each.actor) for each in state.reopenings
        )
        tables.append(build_table("Reopened", ["at", "after", "for", "reason", "by"], reopenings))
    return text + render_text(*tables)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
