"""docs/RESULTS.md: every figure stands under a command that exists here."""

import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")


def test_every_section_names_a_command() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    assert sections
    assert [s.splitlines()[0] for s in sections if "```" not in s] == []


def test_the_commands_exist() -> None:
    modules = re.findall(r"python -m ([a-z_.0-9]+)", TEXT)
    assert modules
    assert [m for m in modules if find_spec(m) is None] == []


def test_the_pictures_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme + TEXT)
    assert [p for p in pictures if not (ROOT / p).is_file() and not (ROOT / "docs" / p).is_file()] == []
