"""`tvad heads` and the commands that hand on to training."""

import json

import pytest
from typer.testing import CliRunner

from tvad.cli import app
from tvad.temporal.registry import HEADS, setting_types
from tvad.temporal.typed import read_settings


def test_heads_are_listed() -> None:
    run = CliRunner()
    listed = json.loads(run.invoke(app, ["heads", "--json"]).stdout)
    assert [row["name"] for row in listed] == list(HEADS) and len(listed) == 7
    assert {row["name"] for row in listed if row["text"]} == {"vadclip", "dsanet", "finevad"}
    table = run.invoke(app, ["heads"])
    assert table.exit_code == 0 and "Sultani" in table.stdout


@pytest.mark.parametrize("name", HEADS)
def test_settings_of_a_head_are_shown_as_they_are_given(name: str) -> None:
    run = CliRunner()
    told = json.loads(run.invoke(app, ["heads", name, "--json"]).stdout)
    assert set(told["settings"]) == set(setting_types(name)) and set(told["recipes"]) == {"ucf-crime", "xd-violence"}
    shown = run.invoke(app, ["heads", name])
    assert shown.exit_code == 0 and "ucf-crime" in shown.stdout and "--lr" in shown.stdout
    # What stands in the column of defaults is what --set takes.
    rows = [line.split() for line in shown.stdout.partition("\n\n")[0].splitlines()[1:]]
    given = [f"{row[0]}={row[1]}" for row in rows if row[0] in told["settings"]]
    plain = {
        key: tuple(v["default"]) if isinstance(v["default"], list) else v["default"]
        for key, v in told["settings"].items()
    }
    assert read_settings(setting_types(name), given) == plain


def test_settings_of_no_head_are_refused() -> None:
    told = CliRunner().invoke(app, ["heads", "vad"])
    assert told.exit_code == 2 and "choose one of mil_ranking" in " ".join(told.stderr.replace("│", " ").split())


def test_evaluation_and_training_take_their_own_flags() -> None:
    run = CliRunner()
    for command, flag in ((["eval"], "--map-mode"), (["train", "temporal"], "--recipe")):
        told = run.invoke(app, [*command, "--help"])
        assert told.exit_code == 0 and flag in told.stdout, command
        assert run.invoke(app, command).exit_code == 2
