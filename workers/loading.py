"""Put journeys and their messages together; whatever is wrong with either is told at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from activities.content.manifest import FILE_NAME, read_manifest
from activities.content.template import CHANNEL_FILES
from activities.content.templates import TemplateError, Templates
from journeys.checks.catalog import Catalog, Letter
from journeys.checks.checking import message_faults_of
from journeys.checks.fault import JourneyError
from journeys.registry import Journeys, read
from workers.faults import Fault


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
