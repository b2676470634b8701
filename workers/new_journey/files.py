"""Write a new journey's files: all of them or none, and never over a file that is there."""

from collections.abc import Mapping
from pathlib import Path

from workers.faults import Fault


def write(files: Mapping[Path, str], changed: Mapping[Path, str]) -> None:
    """Make new files, then change existing ones. Raises ``Fault``; what was made until then is taken away."""
    if there := [path for path in files if path.exists()]:
        listed = "".join(f"\n  {path}" for path in there)
        raise Fault(
            f"nothing was written, because there is already:{listed}\n"
            "Choose another name, or move this away first."
        )
    made: list[Path] = []
    folders: list[Path] = []
    try:
        for path, text in files.items():
            folders += [each for each in reversed([path.parent, *path.parent.parents]) if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            # Mode "x": where somebody else has just made it, it is theirs.
            with path.open("x", encoding="utf-8", newline="") as file:
                made.append(path)
                file.write(text)
        for path, text in changed.items():
            path.write_bytes(text.encode())
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        for folder in reversed(folders):
            folder.rmdir()
        raise Fault(
            f"{error.filename} cannot be written: {error.strerror}. Nothing was left behind; check that the "
            "folder is yours to write in, and try again."
        ) from error
