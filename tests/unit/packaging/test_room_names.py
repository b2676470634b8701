"""No installed distribution ships a top-level module that is called like one of our packages.

Packages of this project are top-level modules. A distribution with a module of the same name would hide ours,
or be hidden by it, depending on the order of ``sys.path``.
"""

import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions

from tests.support.docs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

PLANNED = ("learning", "sources")
"""Names that packages are to get, checked before they get them."""


def taken(names: Sequence[str], installed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Name → distributions besides our own that ship a top-level module of that name."""
    found = {name: sorted(set(installed.get(name, ())) - {PROJECT["project"]["name"]}) for name in names}
    return {name: distributions for name, distributions in found.items() if distributions}


def test_no_distribution_ships_a_module_called_like_one_of_our_packages() -> None:
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    installed = packages_distributions()

    names = sorted({*packages, *PLANNED})

    assert {"temporalio", "sqlalchemy", "yaml"} <= set(installed)
    # One that is taken: give our package another plain name.
    assert taken(names, installed) == {}
    assert set(names) & sys.stdlib_module_names == set()


def test_a_name_that_is_taken_is_found_and_our_own_is_none() -> None:
    installed = {"cli": ["some-tool", "waypost"], "policy": ["waypost"], "yaml": ["PyYAML"]}

    assert taken(["cli", "policy", "profiles"], installed) == {"cli": ["some-tool"]}
