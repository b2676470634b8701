"""Put journeys and their messages together; whatever is wrong with either is told at once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from activities.content.template import CHANNEL_FILES, FILE_NAME, read_manifest
from activities.content.templates import TemplateError, Templates
from journeys.checks.catalog import Catalog, Letter
from journeys.checks.checking import message_faults_of
from journeys.checks.fault import JourneyError
from journeys.registry import Journeys, read
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.segment import Segment
from policy.config.policy_file import Policy, PolicyFaults
from policy.config.settings import PolicySettings
from policy.limits import Limits
from policy.replay import limits_as_json, version_of
from profiles.db.database import Database
from profiles.db.migrate import OldSchema, check_schema
from profiles.messaging.policy_versions import keep_policy
from profiles.sweeps.segments import query_faults
from workers.process import Fault


@dataclass(frozen=True, slots=True)
class Loaded:
    """Journeys and the messages they send, checked against each other."""

    journeys: Journeys
    templates: Templates


def loaded(modules: Sequence[str]) -> Loaded:
    """The journeys of these modules and their messages. Needs no database and no Temporal.

    Raises ``Fault`` with every fault of every journey and of every message, each with file and line.
    """
    reading = read(modules)
    catalog = catalog_of(reading.folders, complete=reading.complete)
    faults = list(reading.faults)
    for definition in reading.journeys.values():
        faults.extend(message_faults_of(definition, catalog))
    told = [str(JourneyError(faults))] if faults else []
    try:
        templates = Templates.load(reading.folders)
    except TemplateError as error:
        raise Fault("\n".join([*told, str(error)])) from error
    if told:
        raise Fault(told[0])
    return Loaded(reading.journeys, templates)


def catalog_of(folders: Iterable[Path], *, complete: bool = True) -> Catalog:
    """The messages that lie in these journey folders, also those that have faults of their own.

    ``complete``: whether these are the folders of all journeys.
    """
    files = [file for folder in dict.fromkeys(folders) for file in sorted(folder.glob(f"*/{FILE_NAME}"))]
    return Catalog([_letter(file) for file in files], complete=complete)


def _letter(file: Path) -> Letter:
    name = file.parent.name
    channels = frozenset(channel for channel, part in CHANNEL_FILES.items() if (file.parent / part).is_file())
    manifest, _ = read_manifest(file)
    if manifest is None:
        return Letter(name, channels)
    extra = {key: value.required for key, value in manifest.extra.items()}
    return Letter(name, channels, manifest.message_class, manifest.items == "required", extra)


def declared_segments(journeys: Mapping[str, JourneyDefinition]) -> dict[str, Segment]:
    """Segments by name; journeys may share one."""
    return {segment.name: segment for definition in journeys.values() for segment in definition.segments}


def segment_faults(journeys: Mapping[str, JourneyDefinition]) -> list[str]:
    """Segments that two journeys declare under one name but not alike, a sentence each.

    A name has one schedule and one set of members, so it can have one query only.
    """
    first: dict[str, tuple[str, Segment]] = {}
    faults = []
    for name, definition in journeys.items():
        for segment in definition.segments:
            other, known = first.setdefault(segment.name, (name, segment))
            differing = [
                field.name
                for field in fields(Segment)
                if getattr(segment, field.name) != getattr(known, field.name)
            ]
            if differing:
                faults.append(
                    f"segment {segment.name!r}: {name} and {other} declare it with different "
                    f"{' and '.join(differing)}; share one Segment between them, or give it another name"
                )
    return faults


async def refuse_wrong_segments(database: Database, journeys: Mapping[str, JourneyDefinition]) -> None:
    """Raise ``Fault`` with all that is wrong with the journeys' segments; Postgres judges their queries."""
    faults = segment_faults(journeys)
    segments = (segment for definition in journeys.values() for segment in definition.segments)
    faults += await query_faults(database, dict.fromkeys(segments))
    if faults:
        raise Fault("segments cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))


log = structlog.get_logger(__name__)

_REFUSED = ("28", "3D")
"""SQLSTATE classes of a refused login and of a database that does not exist: waiting cannot help."""


async def until_schema_fits(database_url: str, *, again_in_s: float = 1.0) -> None:
    """Return once the database is at the revision this code needs.

    Postgres away: waits for it, and says so. Raises ``Fault``, saying what to do, for a schema that is
    missing, older or newer, and for a login or database name that Postgres refuses.
    """
    while True:
        try:
            await check_schema(database_url)
        except OldSchema as error:
            raise Fault(str(error)) from error
        except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if _sqlstate(error)[:2] in _REFUSED:
                raise Fault(f"Postgres refuses DATABASE_URL: {error}; correct it") from error
            log.warning("Postgres is not there yet", error=repr(error)[:200], again_in_s=again_in_s)
            await asyncio.sleep(again_in_s)
        else:
            return


def _sqlstate(error: BaseException) -> str:
    """Postgres's code, also of an error that SQLAlchemy has wrapped."""
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")


def policy_in_force(settings: PolicySettings) -> Policy:
    """What the shop has set. Raises ``Fault`` with everything that is wrong with the file."""
    try:
        return settings.policy
    except PolicyFaults as faults:
        raise Fault(f"WAYPOST_POLICY: {faults}") from faults


async def keep_limits(database: Database, limits: Limits) -> None:
    """Keep what decisions are about to be made by, so that they can be made again."""
    await database.run(lambda connection: keep_policy(connection, version_of(limits), limits_as_json(limits)))
