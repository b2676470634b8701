"""The registry of all message templates. They are read and validated at start; all faults are reported."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from liquid import BoundTemplate
from liquid.exceptions import LiquidError

from activities.content import samples
from activities.content.template import (
    CHANNEL_FILES,
    MANIFEST_FILE_NAME,
    LiquidEnvironment,
    Manifest,
    Template,
    build_environment,
    load_manifest,
)
from activities.content.validation import (
    PartFault,
    TemplateError,
    TemplateFault,
    display_path,
    liquid_faults,
    sample_render_faults,
    source_faults,
    to_part_fault,
)
from policy.verdict import Channel

LAYOUTS_FOLDER = "layouts"
"""Folder beside the journeys, with layouts and partials for all messages."""


class UnknownTemplate(KeyError):
    """No template of that name."""

    def __str__(self) -> str:
        return str(self.args[0])


class TemplateRegistry(dict[str, Template]):
    """Templates by name."""

    @classmethod
    def load(cls, folders: Iterable[Path]) -> "TemplateRegistry":
        """Read all message folders under the given journey folders, and the ``layouts`` beside them.

        Raises ``TemplateError`` with all faults of all files. Can be called again to load changes.
        """
        reader = _TemplateLoader()
        for folder in dict.fromkeys(folder.resolve() for folder in folders):
            reader.read_journey(folder)
        if reader.faults:
            raise TemplateError(reader.faults)
        return cls(reader.templates)

    def __missing__(self, name: str) -> Template:
        """Raise ``UnknownTemplate`` (a ``KeyError``) with the available names."""
        close = difflib.get_close_matches(name, self, 1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        available = ", ".join(sorted(self)) or "none"
        raise UnknownTemplate(f"no template {name!r}; {guess}available: {available}")


class _Layouts:
    """The partials beside one set of journeys, with the Liquid environments for HTML and for text."""

    def __init__(self, journeys: Path) -> None:
        files = sorted(
            file for file in (journeys / LAYOUTS_FOLDER).glob("*") if file.suffix in (".mjml", ".txt")
        )
        self.partials = {file.name: file.read_text("utf-8") for file in files}
        self.display_paths = {file.name: display_path(file, journeys) for file in files}
        self.html_environment = build_environment(self.partials, escape=True)
        self.text_environment = build_environment(self.partials, escape=False)

    def faults(self) -> Iterator[PartFault]:
        """Find faults of the partials themselves."""
        for name, source in self.partials.items():
            try:
                self.html_environment.get_template(name)
            except LiquidError as error:
                yield to_part_fault(name, error)
            yield from source_faults(name, source)


class _TemplateLoader:
    """Collects the templates and faults of all folders."""

    def __init__(self) -> None:
        self.templates: dict[str, Template] = {}
        self.faults: list[TemplateFault] = []
        self._layouts: dict[Path, _Layouts] = {}

    def read_journey(self, folder: Path) -> None:
        """Read all message folders of one journey."""
        journeys = folder.parent
        if not folder.is_dir():
            self._add_fault(display_path(folder, journeys), 0, "no such folder; name a journey's folder")
            return
        if journeys not in self._layouts:
            self._layouts[journeys] = _Layouts(journeys)
            self._add_faults(self._layouts[journeys].faults(), self._layouts[journeys])
        for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
            if (inner / MANIFEST_FILE_NAME).is_file():
                self._read_message(inner, self._layouts[journeys])
            elif parts := [name for name in CHANNEL_FILES.values() if (inner / name).exists()]:
                message = f"has {', '.join(parts)} but no {MANIFEST_FILE_NAME}; add one"
                self._add_fault(display_path(inner, journeys), 0, message)

    def _read_message(self, folder: Path, layouts: _Layouts) -> None:
        journeys = folder.parent.parent
        file = folder / MANIFEST_FILE_NAME
        shown = display_path(file, journeys)
        manifest, complaints = load_manifest(file)
        for complaint in complaints:
            self._add_fault(shown, 0, complaint)
        channels = {c: folder / name for c, name in CHANNEL_FILES.items() if (folder / name).is_file()}
        if not channels:
            self._add_fault(shown, 0, f"no channel; add {' or '.join(CHANNEL_FILES.values())} beside it")
        if manifest is not None and Channel.EMAIL in channels and not manifest.subject.strip():
            self._add_fault(shown, 0, 'subject: missing, and there is an email; add subject = "…"')
        if (first := self.templates.get(folder.name)) is not None:
            self._add_fault(
                shown, 0, f"a second template {folder.name!r}; the first is in {first.folder.parent.name}/"
            )
        message = _MessageLoader(folder, shown, manifest, layouts)
        template = message.read(channels)
        self._add_faults(message.faults, layouts)
        if template is not None and first is None:
            self.templates[template.name] = template

    def _add_faults(self, found: Iterable[PartFault], layouts: _Layouts) -> None:
        for name, line, message in found:
            self._add_fault(layouts.display_paths.get(name, name), line, message)

    def _add_fault(self, file: str, line: int, message: str) -> None:
        self.faults.append(TemplateFault(file, line, message))


class _MessageLoader:
    """Parses and validates the parts of one message folder."""

    def __init__(self, folder: Path, shown: str, manifest: Manifest | None, layouts: _Layouts) -> None:
        self.folder = folder
        self.manifest_path = shown
        self.manifest = manifest
        self.layouts = layouts
        self.faults: list[PartFault] = []
        self._sources = dict(layouts.partials)

    def read(self, channels: Mapping[Channel, Path]) -> Template | None:
        """Return the template, or None where it cannot be parsed. Faults are added to ``found``."""
        bodies = {}
        for channel, file in channels.items():
            source, environment = file.read_text("utf-8"), self.layouts.text_environment
            name = display_path(file, self.folder.parent.parent)
            self._sources[name] = source
            if channel is Channel.EMAIL:
                self.faults.extend(source_faults(name, source))
                environment = self.layouts.html_environment
            if (body := self._parse(source, name, environment)) is not None:
                bodies[channel] = body
        manifest = self.manifest
        if manifest is None:
            return None
        lines = {key: self._line_of(key) for key in ("subject", "preheader")}
        subject, preheader = (
            self._parse(getattr(manifest, key), self.manifest_path, self.layouts.text_environment, line)
            for key, line in lines.items()
        )
        if subject is None or preheader is None or len(bodies) < len(channels):
            return None
        template = Template(
            name=self.folder.name,
            message_class=manifest.message_class,
            topic=manifest.consent_topic,
            channels=frozenset(bodies),
            folder=self.folder,
            manifest=manifest,
            bodies=MappingProxyType(bodies),
            subject=subject,
            preheader=preheader,
        )
        self._check(template, lines)
        return template

    def _parse(
        self, source: str, name: str, parser: LiquidEnvironment, line: int = 0
    ) -> BoundTemplate | None:
        try:
            return parser.from_string(source, name=name, path=name)
        except LiquidError as error:
            self.faults.append(to_part_fault(name, error, line=line))
            return None

    def _check(self, template: Template, lines: Mapping[str, int]) -> None:
        every = samples.sample_contexts(template.manifest)[0].context
        known = {**template.to_template_values(every), "subject": "", "preheader": ""}
        static: list[PartFault] = []
        for body in template.bodies.values():
            static.extend(liquid_faults(body, known, self._sources))
        for key, part in (("subject", template.subject), ("preheader", template.preheader)):
            static.extend(liquid_faults(part, known, {}, line=lines[key]))
        self.faults.extend(static)
        if not static and (template.manifest.subject.strip() or Channel.EMAIL not in template.channels):
            self.faults.extend(sample_render_faults(template))

    def _line_of(self, key: str) -> int:
        lines = (self.folder / MANIFEST_FILE_NAME).read_text("utf-8").splitlines()
        return next((i for i, line in enumerate(lines, 1) if line.lstrip().startswith(key)), 0)
