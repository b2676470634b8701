"""Add a journey to the list that registers it: an import and a list item; the rest is unchanged."""

import ast
import io
from dataclasses import dataclass

from workers.errors import UserError

_MAX_LINE_LENGTH = 110


@dataclass(frozen=True, slots=True)
class Registration:
    """One class to add to a list of journeys."""

    file: str
    """The name of the file in error messages."""
    variable: str
    """The name of the list: ``SHIPPED`` of the registry, or a package's ``JOURNEYS``."""
    module: str
    class_name: str

    def add_to(self, text: str) -> str:
        """Return the file's text with the class imported and listed; unchanged where it is listed already.

        Raises ``UserError``, with the lines to write by hand, for a file without the expected form.
        """
        tree = self._parse(text)
        listed = self._find_list(tree)
        if any(isinstance(each, ast.Name) and each.id == self.class_name for each in listed.elts):
            return text
        if self.class_name in bound_names(tree):
            raise UserError(
                f"the class would be {self.class_name}, a name that {self.file} uses for something else. "
                "Choose another name; nothing was written"
            )
        end = "\r\n" if "\r\n" in text else "\n"
        # Lines as the parser counts them: ``splitlines`` would also break at form feeds.
        lines = list(io.StringIO(text, newline=""))
        # From the bottom up, so that the line number of the import stays valid.
        if listed.lineno == listed.end_lineno:
            self._rewrite_single_line(lines, listed, end)
        else:
            self._insert_line(lines, listed, end)
        lines.insert(
            _import_line_index(tree, self.module), f"from {self.module} import {self.class_name}{end}"
        )
        changed = "".join(lines)
        self._parse(changed)
        return changed

    def _parse(self, text: str) -> ast.Module:
        try:
            return ast.parse(text)
        except SyntaxError as error:
            raise self._unexpected_layout(f"it cannot be parsed: {error}") from error

    def _find_list(self, tree: ast.Module) -> ast.Tuple | ast.List:
        found = [value for statement in tree.body if (value := self._assigned_value(statement)) is not None]
        match found:
            case [ast.Tuple() | ast.List() as listed]:
                return listed
            case []:
                raise self._unexpected_layout(f"it has no {self.variable} = (…) at its top level")
            case [_]:
                raise self._unexpected_layout(f"its {self.variable} is no tuple or list that is written out")
        raise self._unexpected_layout(f"it sets {self.variable} {len(found)} times")

    def _assigned_value(self, statement: ast.stmt) -> ast.expr | None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == self.variable:
                return value
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if name == self.variable:
                return value
        return None

    def _rewrite_single_line(self, lines: list[str], listed: ast.Tuple | ast.List, end: str) -> None:
        """Rewrite a list on one line: as ruff formats it, with one class per line where it does not fit."""
        raw = lines[listed.lineno - 1].encode()
        before, old, after = (
            raw[: listed.col_offset].decode(),
            raw[listed.col_offset : listed.end_col_offset].decode(),
            raw[listed.end_col_offset :].decode(),
        )
        if old[0] not in "([":
            raise self._unexpected_layout(f"its {self.variable} has no brackets around it")
        classes = [*(ast.unparse(each) for each in listed.elts), self.class_name]
        comma = "," if len(classes) == 1 and old[0] == "(" else ""
        line = f"{before}{old[0]}{', '.join(classes)}{comma}{old[-1]}{after}"
        if len(line.rstrip()) > _MAX_LINE_LENGTH:
            rows = "".join(f"    {each},{end}" for each in classes)
            line = f"{before}{old[0]}{end}{rows}{old[-1]}{after}"
        lines[listed.lineno - 1] = line

    def _insert_line(self, lines: list[str], listed: ast.Tuple | ast.List, end: str) -> None:
        """Insert a line before the last one of a list over several lines; comments stay in place."""
        last = (listed.end_lineno or listed.lineno) - 1
        if not listed.elts or lines[last].strip() not in (")", "]"):
            raise self._unexpected_layout(f"the last line of its {self.variable} is not a bracket alone")
        element = listed.elts[-1]
        row = (element.end_lineno or element.lineno) - 1
        rest = lines[row].encode()[element.end_col_offset :].decode()
        if not rest.lstrip().startswith(","):
            raise self._unexpected_layout(f"the last class of its {self.variable} has no comma after it")
        indent = lines[row][: len(lines[row]) - len(lines[row].lstrip())]
        lines.insert(last, f"{indent}{self.class_name},{end}")

    def _unexpected_layout(self, what: str) -> UserError:
        return UserError(
            f"{self.file} does not look as expected: {what}. Nothing was written. Expected a line like\n"
            f"  {self.variable} = (SomeJourney, AnotherJourney)\n"
            "Put it back into this form and try again."
        )


def bound_names(tree: ast.Module) -> set[str]:
    """Return the names that a module binds at its top level."""
    names: set[str] = set()
    for statement in tree.body:
        match statement:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update((alias.asname or alias.name).split(".")[0] for alias in aliases)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def _import_line_index(tree: ast.Module, module: str) -> int:
    """Return the index (from 0) of the line before which an import of this module is in sorted order."""
    package = module.split(".")[0]
    siblings = [
        each
        for each in tree.body
        if isinstance(each, ast.ImportFrom)
        and (each.module or "").split(".")[0] == package
        and not each.level
    ]
    for each in siblings:
        if (each.module or "") > module:
            return each.lineno - 1
    imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    docstring = tree.body[:1] if ast.get_docstring(tree) is not None else []
    before = siblings or imports or docstring
    return (before[-1].end_lineno or 0) if before else 0
