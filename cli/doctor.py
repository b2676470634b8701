"""``waypost doctor``: check each part of an installation, and advise what to do about each fault."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from activities.settings import ActivitySettings
from api.settings import ApiSettings, InvalidSettings
from policy.config.policy_file import PolicyFaults
from policy.config.settings import PolicySettings
from policy.replay import policy_version
from profiles.db.database import Database, server_of
from profiles.db.migrate import schema_revisions
from profiles.identity.identifiers import mask_identifier
from profiles.identity.quarantine import QUARANTINE_ADVICE
from profiles.runs.stuck import RETRY_ADVICE
from profiles.views.backlog import (
    DELIVERIES_OVERDUE_ADVICE,
    EVENT_PROBLEMS_ADVICE,
    REMOVALS_OVERDUE_ADVICE,
    UNCONFIRMED_LINKS_ADVICE,
    UNDESCRIBED_CARTS_ADVICE,
    StuckRun,
    count_unconfirmed_links,
    count_undescribed_carts,
    list_event_problems,
    list_live_journeys,
    list_recent_quarantines,
    list_stuck_runs,
    load_backlog,
)
from workers.errors import UserError, format_user_error
from workers.settings import WorkerSettings
from workers.startup import load_checked_journeys
from workers.temporal_client import connect_temporal, missing_search_attributes

_CHECK_TIMEOUT_S = 10.0

_MIN_POSTGRES_VERSION = 18

_OVERDUE_FAILS_S = 300.0
"""Age of an undelivered row, in seconds, from which the warning is a failure."""


@dataclass(frozen=True)
class Finding:
    """Result of the check of one part."""

    part: str
    ok: bool
    found: str
    advice: str = ""
    """What to do, if anything. Advice together with ``ok`` is a warning."""

    def format_line(self) -> str:
        """Return the finding as one line for a terminal."""
        verdict = ("warn" if self.advice else "ok  ") if self.ok else "FAIL"
        return f"{verdict}  {self.part:<10}  {self.found}" + (f" → {self.advice}" if self.advice else "")


async def examine_installation() -> list[Finding]:
    """Check every part independently, so that one fault does not hide another. Changes nothing."""
    findings, settings, effects = _check_settings()
    findings.append(_check_policy())
    if settings is not None:
        findings.append(_check_journeys(settings))
        findings.append(await _check_with_timeout("database", _check_database, settings))
        findings.append(await _check_with_timeout("migrations", _check_migrations, settings))
        findings.append(await _check_with_timeout("temporal", _check_temporal, settings))
        if all(finding.ok for finding in findings if finding.part in ("database", "migrations")):
            findings.append(await _check_with_timeout("identity", _check_identity, settings))
            findings.append(await _check_with_timeout("audiences", _check_audiences, settings))
            findings.append(await _check_with_timeout("outbox", _check_outbox, settings))
            findings.append(await _check_with_timeout("runs", _check_runs, settings))
            findings.append(await _check_with_timeout("items", _check_items, settings))
            findings.append(await _check_with_timeout("senders", _check_senders, settings))
            findings.append(await _check_with_timeout("pages", _check_pages, settings))
    if effects is not None:
        findings.extend(_check_providers(effects))
    return findings


def _check_settings() -> tuple[list[Finding], WorkerSettings | None, ActivitySettings | None]:
    faults: list[str] = []
    read: list[Any] = []
    for kind in (WorkerSettings, ActivitySettings, ApiSettings):
        try:
            read.append(kind())
            if isinstance(read[-1], ApiSettings):
                read[-1].check()
        except InvalidSettings as fault:
            faults.append(str(fault))
        except (ValidationError, SettingsError) as error:
            faults.append(format_user_error(error) or str(error))
            read.append(None)
    if faults:
        finding = Finding("settings", False, "\n      ".join(faults))
    else:
        place = "of a local stack" if read[0].waypost_local else "of a production process"
        finding = Finding("settings", True, f"{place}, complete")
    return [finding], read[0], read[1]


def _check_policy() -> Finding:
    try:
        policy = PolicySettings().policy
    except ValidationError:  # reported by the check of the settings
        return Finding("policy", False, "not read: WAYPOST_HOLDOUT is wrong", "mend the settings first")
    except PolicyFaults as faults:
        return Finding("policy", False, str(faults).replace("\n", "\n      "), "`waypost policy check`")
    place = f"{policy.name}, values set: {len(policy.lines)}" if policy.name else "the defaults, no file"
    return Finding("policy", True, f"{place}; version {policy_version(policy.limits)}")


def _check_journeys(settings: WorkerSettings) -> Finding:
    try:
        found = load_checked_journeys(settings.journey_modules)
    except UserError as fault:
        return Finding("journeys", False, str(fault).replace("\n", "\n      "))
    names = ", ".join(sorted(found.journeys)) or "none"
    return Finding("journeys", True, f"{names}, with {len(found.templates)} messages")


async def _check_with_timeout(
    part: str, look: Callable[[WorkerSettings], Awaitable[Finding]], settings: WorkerSettings
) -> Finding:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await look(settings)
    except TimeoutError:
        return Finding(
            part, False, f"no answer within {_CHECK_TIMEOUT_S:.0f} s", "check the address and the network"
        )
    except Exception as error:  # any error of a driver is a finding
        found = " ".join(str(error).split()) or type(error).__name__
        return Finding(part, False, found, _ADVICE[part])


_ADVICE = {
    "database": "check DATABASE_URL, and that Postgres runs and is reachable from here",
    "migrations": "mend the database first",
    "identity": "mend the database first",
    "audiences": "mend the database first",
    "outbox": "mend the database first",
    "runs": "mend the database first",
    "items": "mend the database first",
    "pages": "mend the database first",
    "temporal": "check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS…, and that Temporal runs",
}


@asynccontextmanager
async def _open_connection(settings: WorkerSettings) -> AsyncIterator[Any]:
    database = Database(settings.database_url, pool_size=1)
    try:
        async with database.transaction() as connection:
            yield connection
    finally:
        await database.close()


async def _check_database(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        version, provider = await server_of(connection)
    if int(version.split(".")[0]) < _MIN_POSTGRES_VERSION:
        return Finding(
            "database", False, f"Postgres {version}", f"use Postgres {_MIN_POSTGRES_VERSION} or newer"
        )
    sorts = "text sorts as the operating system says; see docker-compose.yml for the builtin provider"
    return Finding("database", True, f"Postgres {version}", "" if provider == "b" else sorts)


async def _check_migrations(settings: WorkerSettings) -> Finding:
    revision, newest = await schema_revisions(settings.database_url)
    if revision == newest:
        return Finding("migrations", True, f"at {newest}, the newest")
    return Finding(
        "migrations", False, f"at {revision or 'none'}, the code needs {newest}", "run `waypost migrate`"
    )


async def _check_identity(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        figures, newest = await load_backlog(connection), await list_recent_quarantines(connection, limit=3)
    if not figures.quarantined:
        return Finding("identity", True, "no identifier is quarantined")
    names = ", ".join(f"{each.type} {mask_identifier(each.type, each.value)}" for each in newest)
    found = f"{figures.quarantined} quarantined; newest: {names}"
    return Finding("identity", True, found, QUARANTINE_ADVICE)


async def _check_audiences(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        figures = await load_backlog(connection)
    waiting, oldest = figures.removals_unconfirmed, figures.removals_oldest_s
    if not waiting:
        return Finding("audiences", True, "every removal is confirmed")
    found = f"{waiting} removals unconfirmed, the oldest for {oldest:.0f} s"
    overdue = figures.has_overdue_removals
    return Finding("audiences", not overdue, found, REMOVALS_OVERDUE_ADVICE if overdue else "")


async def _check_outbox(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        figures = await load_backlog(connection)
    if not figures.has_overdue_deliveries:
        return Finding("outbox", True, f"{figures.undelivered} rows undelivered, none for over a minute")
    found = f"the oldest row waits for {figures.oldest_s:.0f} s"
    if figures.overdue_error:
        found += f": {figures.overdue_error}"
    return Finding("outbox", figures.oldest_s < _OVERDUE_FAILS_S, found, DELIVERIES_OVERDUE_ADVICE)


async def _check_runs(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        figures = await load_backlog(connection)
        newest, live = await list_stuck_runs(connection, limit=3), await list_live_journeys(connection)
    if figures.stuck_runs:
        oldest = f", the oldest for {figures.stuck_oldest_s:.0f} s" if figures.stuck_oldest_s else ""
        shown = "; ".join(map(_describe_stuck_run, newest))
        found = f"{figures.stuck_runs} stuck{oldest}; newest: {shown}"
        return Finding("runs", False, " ".join(found.split()), RETRY_ADVICE)
    known = _registered_journeys(settings)
    removed = {name: count for name, count in live.items() if known is not None and name not in known}
    if removed:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(removed.items()))
        advice = "no worker of this version goes on with them: deploy the journey again until they have ended"
        return Finding("runs", True, f"live runs of journeys that are not registered: {names}", advice)
    return Finding("runs", True, f"{figures.live_runs} live, none is stuck")


def _describe_stuck_run(run: StuckRun) -> str:
    since = run.since.astimezone(UTC).strftime(", since %Y-%m-%d %H:%M UTC") if run.since else ""
    return f"{run.run_id} of {run.journey}{since} ({run.reason or 'no reason on record'})"


def _registered_journeys(settings: WorkerSettings) -> frozenset[str] | None:
    try:
        return frozenset(load_checked_journeys(settings.journey_modules).journeys)
    except UserError:  # reported by the check of the journeys
        return None


async def _check_senders(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        problems = await list_event_problems(connection, limit=5)
    if not problems:
        return Finding("senders", True, "all of the last day's events were understood")
    shown = ", ".join(f"{each.sender} {each.code} ({each.events})" for each in problems)
    return Finding("senders", True, f"not understood in the last day: {shown}", EVENT_PROBLEMS_ADVICE)


async def _check_items(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        undescribed = await count_undescribed_carts(connection)
    if not undescribed:
        return Finding("items", True, "messages can name the items of every open cart examined")
    found = f"{undescribed} open carts have items that no verified event and no feed has named"
    return Finding("items", True, found, UNDESCRIBED_CARTS_ADVICE)


async def _check_pages(settings: WorkerSettings) -> Finding:
    async with _open_connection(settings) as connection:
        counts = await count_unconfirmed_links(connection)
    if not (counts.devices or counts.others):
        return Finding("pages", True, "in the last day no page named what it cannot confirm")
    found = (
        f"in the last day pages named {counts.devices} devices, and {counts.others} addresses or ids, beside "
        "customers of your server; nothing confirms them, so they are not linked"
    )
    return Finding("pages", True, found, UNCONFIRMED_LINKS_ADVICE)


async def _check_temporal(settings: WorkerSettings) -> Finding:
    client = await connect_temporal(settings)
    missing = await missing_search_attributes(client)
    where = f"{client.service_client.config.target_host}, namespace {client.namespace}"
    if missing:
        advice = (
            "relay and worker register them when they start; on Temporal Cloud, or without the right to, add "
            "them as Keyword with its own tool. Until then no run starts, and none is lost"
        )
        return Finding("temporal", False, f"{where}: no search attributes {', '.join(missing)}", advice)
    return Finding("temporal", True, where)


def _check_providers(effects: ActivitySettings) -> list[Finding]:
    sandbox = "the sandbox: nothing leaves this machine (GET /sandbox shows each message)"
    email = f"SendGrid at {effects.sendgrid_base_url}, from {effects.email_from}"
    sender = effects.twilio_messaging_service_sid or effects.twilio_from
    sms = f"Twilio at {effects.twilio_base_url}, from {sender}"
    return [
        Finding("email", True, email if effects.sendgrid_api_key else sandbox),
        Finding("sms", True, sms if effects.twilio_account_sid else sandbox),
    ]
