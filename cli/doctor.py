"""Examines an installation: each part, whether it is well, and what to do when it is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from activities.settings import ActivitySettings
from api.settings import ApiSettings, SettingsFault
from policy.config.policy_file import PolicyFaults
from policy.config.settings import PolicySettings
from policy.replay import version_of
from profiles.db.database import Database, server_of
from profiles.db.migrate import current_async
from profiles.identity.identifiers import shortened
from profiles.identity.quarantine import WHAT_TO_DO
from profiles.views.backlog import REMOVALS_OVERDUE, backlog, lately_quarantined
from workers.process import Fault, explanation
from workers.settings import WorkerSettings
from workers.startup import loaded
from workers.temporal_client import connect, missing_search_attributes

_WITHIN_S = 10.0

_OLDEST_POSTGRES = 18


@dataclass(frozen=True)
class Finding:
    """What was found about one part."""

    part: str
    ok: bool
    found: str
    advice: str = ""
    """What to do; only where something is to be done. A part that is well and has some is a warning."""

    def line(self) -> str:
        """One line for a terminal."""
        verdict = ("warn" if self.advice else "ok  ") if self.ok else "FAIL"
        return f"{verdict}  {self.part:<10}  {self.found}" + (f" → {self.advice}" if self.advice else "")


async def examine() -> list[Finding]:
    """Look at every part, each on its own, so that one fault does not hide another. Changes nothing."""
    findings, settings, effects = _examine_settings()
    findings.append(_policy())
    if settings is not None:
        findings.append(_journeys(settings))
        for part, look in (
            ("database", _database),
            ("migrations", _migrations),
            ("temporal", _temporal),
        ):
            findings.append(await _bounded(part, look, settings))
        if all(finding.ok for finding in findings if finding.part in ("database", "migrations")):
            findings.append(await _bounded("identity", _identity, settings))
            findings.append(await _bounded("audiences", _audiences, settings))
    if effects is not None:
        findings.extend(_providers(effects))
    return findings


def _examine_settings() -> tuple[list[Finding], WorkerSettings | None, ActivitySettings | None]:
    faults: list[str] = []
    read: list[Any] = []
    for kind in (WorkerSettings, ActivitySettings, ApiSettings):
        try:
            read.append(kind())
        except (ValidationError, SettingsError) as error:
            faults.append(explanation(error) or str(error))
            read.append(None)
        else:
            if isinstance(read[-1], ApiSettings):
                faults.extend(_refusals(read[-1]))
    if faults:
        finding = Finding("settings", False, "\n      ".join(faults))
    else:
        place = "of a local stack" if read[0].waypost_local else "of a production process"
        finding = Finding("settings", True, f"{place}, complete")
    return [finding], read[0], read[1]


def _refusals(settings: ApiSettings) -> list[str]:
    try:
        settings.check()
    except SettingsFault as fault:
        return [str(fault)]
    return []


def _policy() -> Finding:
    try:
        policy = PolicySettings().policy
    except ValidationError:  # told among the settings
        return Finding("policy", False, "not read: WAYPOST_HOLDOUT is wrong", "mend the settings first")
    except PolicyFaults as faults:
        return Finding("policy", False, str(faults).replace("\n", "\n      "), "`waypost policy check`")
    place = f"{policy.name}, values set: {len(policy.lines)}" if policy.name else "the defaults, no file"
    return Finding("policy", True, f"{place}; version {version_of(policy.limits)}")


def _journeys(settings: WorkerSettings) -> Finding:
    try:
        found = loaded(settings.journey_modules)
    except Fault as fault:
        return Finding("journeys", False, str(fault).replace("\n", "\n      "))
    names = ", ".join(sorted(found.journeys)) or "none"
    return Finding("journeys", True, f"{names}, with {len(found.templates)} messages")


async def _bounded(
    part: str, look: Callable[[WorkerSettings], Awaitable[Finding]], settings: WorkerSettings
) -> Finding:
    try:
        async with asyncio.timeout(_WITHIN_S):
            return await look(settings)
    except TimeoutError:
        return Finding(
            part, False, f"no answer within {_WITHIN_S:.0f} s", "check the address and the network"
        )
    except Exception as error:  # whatever a driver raises is what the doctor was asked to find
        found = " ".join(str(error).split()) or type(error).__name__
        return Finding(part, False, found, _ADVICE[part])


_ADVICE = {
    "database": "check DATABASE_URL, and that Postgres runs and is reachable from here",
    "migrations": "mend the database first",
    "identity": "mend the database first",
    "audiences": "mend the database first",
    "temporal": "check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS…, and that Temporal runs",
}


@asynccontextmanager
async def _opened(settings: WorkerSettings) -> AsyncIterator[Any]:
    database = Database(settings.database_url, pool_size=1)
    try:
        async with database.transaction() as connection:
            yield connection
    finally:
        await database.close()


async def _database(settings: WorkerSettings) -> Finding:
    async with _opened(settings) as connection:
        version, provider = await server_of(connection)
    if int(version.split(".")[0]) < _OLDEST_POSTGRES:
        return Finding("database", False, f"Postgres {version}", f"use Postgres {_OLDEST_POSTGRES} or newer")
    if provider != "b":
        advice = "text sorts as the operating system says; see docker-compose.yml for the builtin provider"
        return Finding("database", True, f"Postgres {version}", advice)
    return Finding("database", True, f"Postgres {version}")


async def _migrations(settings: WorkerSettings) -> Finding:
    revision, newest = await current_async(settings.database_url)
    if revision == newest:
        return Finding("migrations", True, f"at {newest}, the newest")
    return Finding(
        "migrations", False, f"at {revision or 'none'}, the code needs {newest}", "run `waypost migrate`"
    )


async def _identity(settings: WorkerSettings) -> Finding:
    async with _opened(settings) as connection:
        figures, newest = await backlog(connection), await lately_quarantined(connection, limit=3)
    if not figures.quarantined:
        return Finding("identity", True, "no identifier is quarantined")
    names = ", ".join(f"{one.type} {shortened(one.type, one.value)}" for one in newest)
    found = f"{figures.quarantined} quarantined; newest: {names}"
    return Finding("identity", True, found, WHAT_TO_DO)


async def _audiences(settings: WorkerSettings) -> Finding:
    async with _opened(settings) as connection:
        figures = await backlog(connection)
    waiting, oldest = figures.removals_unconfirmed, figures.removals_oldest_s
    if not waiting:
        return Finding("audiences", True, "every removal is confirmed")
    found = f"{waiting} removals unconfirmed, the oldest for {oldest:.0f} s"
    return Finding("audiences", not figures.overdue, found, REMOVALS_OVERDUE if figures.overdue else "")


async def _temporal(settings: WorkerSettings) -> Finding:
    client = await connect(settings)
    missing = await missing_search_attributes(client)
    where = f"{client.service_client.config.target_host}, namespace {client.namespace}"
    if missing:
        advice = "start the worker once, or add them as Keyword with your cluster's own tool"
        return Finding("temporal", False, f"{where}: no search attributes {', '.join(missing)}", advice)
    return Finding("temporal", True, where)


def _providers(effects: ActivitySettings) -> list[Finding]:
    sandbox = "the sandbox: nothing leaves this machine (GET /sandbox shows each message)"
    email = f"SendGrid at {effects.sendgrid_base_url}, from {effects.email_from}"
    sender = effects.twilio_messaging_service_sid or effects.twilio_from
    sms = f"Twilio at {effects.twilio_base_url}, from {sender}"
    return [
        Finding("email", True, email if effects.sendgrid_api_key else sandbox),
        Finding("sms", True, sms if effects.twilio_account_sid else sandbox),
    ]
