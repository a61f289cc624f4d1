"""`tvad heads` and the commands that hand on to training."""

import json

from typer.testing import CliRunner

from tvad.cli import app
from tvad.temporal.registry import HEADS


def test_heads_are_listed() -> None:
    run = CliRunner()
    listed = json.loads(run.invoke(app, ["heads", "--json"]).stdout)
    assert [row["name"] for row in listed] == list(HEADS) and len(listed) == 7
    assert {row["name"] for row in listed if row["text"]} == {"vadclip", "dsanet", "finevad"}
    table = run.invoke(app, ["heads"])
    assert table.exit_code == 0 and "Sultani" in table.stdout


def test_evaluation_and_training_take_their_own_flags() -> None:
    run = CliRunner()
    for command, flag in ((["eval"], "--map-mode"), (["train", "temporal"], "--recipe")):
        told = run.invoke(app, [*command, "--help"])
        assert told.exit_code == 0 and flag in told.stdout, command
        assert run.invoke(app, command).exit_code == 2
