"""An import of the test kit's former path says the new one, also from a journey module of an author's own."""

from importlib import import_module
from pathlib import Path

import pytest

from journeys.registry import discover_journeys


@pytest.mark.parametrize("module", ["workers.testing", "workers.testing.pure", "workers.testing.plugin"])
def test_the_former_path_of_the_test_kit_names_the_new_one(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"workers\.testing has moved to authoring\.testing"):
        import_module(module)


def test_a_journey_module_that_imports_the_former_path_is_a_fault_that_names_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "former_path_shop.py").write_text("from workers.testing import Shopper\n\nJOURNEYS = ()\n")
    monkeypatch.syspath_prepend(tmp_path)

    [fault] = discover_journeys(["former_path_shop"]).faults

    assert "authoring.testing" in str(fault)
