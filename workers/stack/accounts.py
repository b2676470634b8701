"""Under which account Postgres runs: it refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

_NOBODY = "nobody"


class ProcessArguments(TypedDict, total=False):
    """The keyword arguments of ``subprocess`` that choose the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who a process runs as."""

    uid: int | None = None
    """None: whoever this process runs as."""
    gid: int | None = None
    wrapper: tuple[str, ...] = ()
    """A command that changes the account and then runs what follows."""
    owner: int | None = None
    """User id that must own the process's files, as the file system sees it; None: no wish."""

    def arguments(self) -> ProcessArguments:
        """What to hand to ``subprocess``."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


OWN_ACCOUNT = Account()


def of_user(user: pwd.struct_passwd) -> Account:
    """Run as this user."""
    return Account(uid=user.pw_uid, gid=user.pw_gid, owner=user.pw_uid)


def nobody() -> Account:
    """The account without rights that every Unix has."""
    return of_user(pwd.getpwnam(_NOBODY))


def nobody_in_user_namespace() -> Account | None:
    """Root seen as ``nobody`` from inside: it keeps root's way to files below root's home.

    None where user namespaces are not to be had, as in many containers.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    user = pwd.getpwnam(_NOBODY)
    wrapper = (unshare, "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    tried = subprocess.run([*wrapper, "true"], capture_output=True, check=False)  # noqa: S603
    return Account(wrapper=wrapper, owner=os.getuid()) if tried.returncode == 0 else None


def reaches(account: Account, path: Path) -> bool:
    """Whether the account can read ``path`` (and so pass every folder above it)."""
    tried = subprocess.run(  # noqa: S603
        [*account.wrapper, "test", "-r", str(path)],
        capture_output=True,
        check=False,
        cwd="/",
        **account.arguments(),
    )
    return tried.returncode == 0


def give(account: Account, folder: Path) -> None:
    """Make the account the owner of ``folder`` and all below it. Idempotent; cheap when already so."""
    if account.owner is None or folder.stat().st_uid == account.owner:
        return
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(root, name), account.owner, -1, follow_symlinks=False)
    # The top last: it is the mark that says the work was finished.
    os.chown(folder, account.owner, -1)
