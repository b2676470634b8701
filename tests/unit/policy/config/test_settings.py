"""Every process that goes by the policy reads the same file, and refuses to start on a faulty one."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from activities.settings import ActivitySettings
from api.app import create_app
from api.http.metrics import Metrics
from api.settings import ApiSettings, InvalidSettings
from cli.doctor import _check_policy
from cli.policy import check_policy_file, format_policy
from policy.config.policy_file import PolicyFaults
from policy.config.settings import PolicySettings, load_policy_file
from policy.replay import policy_version
from workers.errors import UserError
from workers.settings import WorkerSettings
from workers.worker import run_worker_process

FAULTY = 'holdout = 120\nquiet_hours.sms.opens = "25:00"\n'

BOTH = ("line 1: holdout: expected a percentage", "line 2: quiet_hours.sms.opens: expected a time of day")

API: dict[str, Any] = {
    "database_url": "postgresql://waypost@127.0.0.1:1/none",
    "waypost_write_keys": SecretStr("w"),
    "waypost_admin_keys": SecretStr("a" * 32),
    "waypost_secrets": SecretStr("s" * 32),
}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYPOST_POLICY", raising=False)
    monkeypatch.delenv("WAYPOST_HOLDOUT", raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that WAYPOST_POLICY names."""
    path = tmp_path / "shop.toml"
    path.write_text('suppression_window = "for good"\n', "utf-8")
    monkeypatch.setenv("WAYPOST_POLICY", str(path))
    return path


@pytest.fixture
def faulty(file: Path) -> Path:
    """The same with two faults."""
    file.write_text(FAULTY, "utf-8")
    return file


def test_api_and_worker_go_by_the_same_policy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_HOLDOUT", "2.5")
    api, worker = ApiSettings(**API).policy, ActivitySettings().policy

    assert api == worker
    assert (api.limits.suppression_window, api.limits.holdout) == (None, 2.5)


def test_the_api_refuses_to_start_with_all_faults_of_the_file(file: Path) -> None:
    file.write_text(FAULTY, "utf-8")
    with pytest.raises(InvalidSettings) as refused:
        create_app(ApiSettings(**API))

    assert all(fault in str(refused.value) for fault in (file.name, *BOTH))


async def test_the_worker_refuses_to_start_with_all_faults_of_the_file(faulty: Path) -> None:
    with pytest.raises(UserError) as refused:
        await run_worker_process(WorkerSettings(database_url=API["database_url"]))

    assert all(fault in str(refused.value) for fault in ("WAYPOST_POLICY", faulty.name, *BOTH))


def test_a_holdout_is_set_in_one_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("# ours\nholdout = 5\n", "utf-8")
    monkeypatch.setenv("WAYPOST_HOLDOUT", "5")
    with pytest.raises(PolicyFaults, match="line 2: holdout: it is set here and by WAYPOST_HOLDOUT"):
        _ = PolicySettings().policy


def test_a_holdout_outside_0_to_100_is_refused_by_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_HOLDOUT", "101")
    for settings in (PolicySettings, ActivitySettings, ApiSettings):
        with pytest.raises(ValidationError, match="expected a percentage from 0 to 100, got 101"):
            settings()


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbfholdout = 5\r\nsuppression_window = "2w"\r\n')

    assert PolicySettings().policy.limits.holdout == 5


def test_check_tells_every_fault_as_a_table_and_as_json(file: Path) -> None:
    file.write_text(FAULTY, "utf-8")
    table, sound = check_policy_file(None, as_json=False)
    told, also_sound = check_policy_file(file, as_json=True)

    assert (sound, also_sound) == (False, False)
    assert "2 faults" in table
    assert "│    2 │ quiet_hours.sms.opens: expected" in table
    assert [(one["line"], one["path"], one["came"]) for one in json.loads(told)["faults"]] == [
        (1, "holdout", "120"),
        (2, "quiet_hours.sms.opens", '"25:00"'),
    ]


def test_check_names_the_version_of_a_sound_file(file: Path) -> None:
    version = policy_version(PolicySettings().policy.limits)

    assert (f"{file} can be used: policy {version}.", True) == check_policy_file(None, as_json=False)
    assert json.loads(check_policy_file(file, as_json=True)[0])["version"] == version


def test_show_tells_each_value_and_who_set_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_HOLDOUT", "2.5")
    policy = PolicySettings().policy
    words, told = (
        format_policy(policy, as_json=False).splitlines(),
        json.loads(format_policy(policy, as_json=True)),
    )
    lines = [" ".join(line.split()) for line in words]

    assert lines[0] == f"# Policy {policy_version(policy.limits)}: {file}"
    assert 'suppression_window = "for good" # line 1' in lines
    assert "holdout = 2.5 # WAYPOST_HOLDOUT" in lines
    assert 'quiet_hours.sms.opens = "08:00" # default' in lines
    assert told["version"] == policy_version(policy.limits)
    assert told["values"]["suppression_window"] == {"value": '"for good"', "set_by": "line 1"}


def test_the_doctor_has_a_line_for_the_policy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = policy_version(PolicySettings().policy.limits)
    sound = _check_policy().format_line()
    file.write_text(FAULTY, "utf-8")
    faulty = _check_policy()
    monkeypatch.delenv("WAYPOST_POLICY")
    without = _check_policy()

    assert sound == f"ok    policy      {file}, values set: 1; version {version}"
    assert not faulty.ok
    assert all(fault in faulty.format_line() for fault in BOTH)
    assert "the defaults, no file; version " in without.found


def test_metrics_name_the_policy_in_force() -> None:
    assert (
        'waypost_policy_info{version="9d4a6ad0e64c"} 1.0' in Metrics("9d4a6ad0e64c").render(None, 0).decode()
    )


def test_a_file_that_cannot_be_read_is_told_as_one_fault(tmp_path: Path) -> None:
    absent, odd = tmp_path / "none.toml", tmp_path / "odd.toml"
    odd.write_bytes(b"holdout = \xff")
    advice = "name one that this process may read"
    for path, why in ((absent, "No such file or directory"), (odd, "it is not UTF-8")):
        with pytest.raises(PolicyFaults) as refused:
            load_policy_file(str(path))
        [fault] = refused.value.faults

        assert refused.value.name == str(path)
        assert (fault.line, fault.path, fault.expected, fault.came) == (1, "", "a file of TOML", why)
        assert fault.words == f"expected a file of TOML, got none: {why}; {advice}"


def test_a_holdout_in_two_places_is_told_where_the_file_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.toml"
    path.write_text("\nholdout = 5\n")
    monkeypatch.setenv("WAYPOST_POLICY", str(path))
    monkeypatch.setenv("WAYPOST_HOLDOUT", "100")
    with pytest.raises(PolicyFaults) as refused:
        _ = PolicySettings().policy
    [fault] = refused.value.faults

    assert (fault.line, fault.path, fault.expected, fault.came) == (2, "holdout", "one place", "two")
    monkeypatch.delenv("WAYPOST_POLICY")
    assert PolicySettings().policy.limits.holdout == 100
    assert PolicySettings().policy.set_by(("holdout",)) == "WAYPOST_HOLDOUT"
