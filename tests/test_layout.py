"""The promises about the shape of the code, kept by reading it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("heatmap", "tvad", "chat", "training")
# Inside tvad: what a module may import is what stands on its own line or before it.
LEVELS = (
    {"evidence", "settings", "weights", "presets", "cache", "container", "video", "writer", "encoder"},
    {"temporal", "lvlm"},
)
TOP = {"detector", "explainer", "calibrate", "early", "outputs", "remote", "remote_stream", "seeing"}
ROOF = ("app.py", "tvad/api.py", "tvad/cli*.py")
DOORS = {
    "gradio": ("chat/ui.py",),
    "peft": ("tvad/lvlm/lora.py",),
    "segment_anything": ("heatmap/sam.py",),
    "ray": ("chat/captions/ray_engine.py",),
    "typer": ("tvad/cli*.py",),
    "rich": ("tvad/cli*.py",),
}
HEAVY = {"torch", "torchvision", "transformers", "timm", "openvino", "cv2", "av", "gradio", "matplotlib", "scipy"}
MAX_LINES = 400
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")) + list(ROOT.glob("app.py"))
EVERY = FILES + [p for folder in ("tests", "benchmarks", "examples") for p in sorted((ROOT / folder).rglob("*.py"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_one_of(file: str, patterns: tuple[str, ...]) -> bool:
    return any(Path(file).match(pattern) for pattern in patterns)


def imports(source: str, file: str) -> Iterator[tuple[str, bool]]:
    """(dotted module, whether it stands inside a function) of every import; relative ones made absolute."""

    def visit(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = file.removesuffix(".py").split("/")[: -child.level] if child.level else []
                base = ".".join([*above, *([child.module] if child.module else [])])
                yield from ((f"{base}.{alias.name}", inside) for alias in child.names)
            elif is_typing_only(child):
                continue
            else:
                yield from visit(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from visit(ast.parse(source), inside=False)


def is_typing_only(node: ast.AST) -> bool:
    # Names for the type checker alone, which never run.
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def wrong_imports(source: str, file: str) -> list[str]:
    """Every import in `source`, standing at `file`, that the layout forbids."""
    wrong = []
    own = file.split("/")[0].removesuffix(".py")
    for module, inside in imports(source, file):
        package = module.split(".")[0]
        if package in PACKAGES and not may_import(own, package, file, inside):
            wrong.append(f"{file} imports {module}: not to its left")
        if own == package == "tvad" and not inside_tvad(file, module):
            wrong.append(f"{file} imports {module}: not before it inside tvad")
        if package in DOORS and not is_one_of(file, DOORS[package]):
            wrong.append(f"{file} imports {module}: its door is {DOORS[package][0]}")
    return wrong


def may_import(own: str, package: str, file: str, inside: bool) -> bool:
    if own in PACKAGES and PACKAGES.index(package) <= PACKAGES.index(own):
        return True
    return is_one_of(file, ROOF) and inside


def inside_tvad(file: str, module: str) -> bool:
    mine, theirs = file.split("/")[1].removesuffix(".py"), [*module.split("."), ""][1]
    if is_one_of(file, ROOF) or file == "tvad/__init__.py":
        return True
    if theirs in TOP:
        return mine in TOP
    for n, level in enumerate(LEVELS):
        if mine in level:
            return not any(theirs in later for later in LEVELS[n + 1 :])
    return True


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_left_and_use_the_doors(path: Path) -> None:
    assert wrong_imports(path.read_text(encoding="utf-8"), name(path)) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("heatmap/a.py", "import tvad.video"),
        ("heatmap/a.py", "from tvad import video"),
        ("heatmap/a.py", "def f():\n    from tvad.video import probe"),
        ("tvad/detector.py", "def f():\n    import chat.session"),
        ("tvad/api.py", "from chat.session import Session"),
        ("chat/session.py", "class A:\n    def f(self):\n        if x:\n            import training.loop"),
        ("chat/session.py", "from ..training import loop"),
        ("tvad/video.py", "from tvad.detector import Detector"),
        ("tvad/encoder.py", "from .lvlm import rae"),
        ("tvad/temporal/base.py", "from tvad.detector import Detector"),
        ("chat/session.py", "import gradio as gr"),
        ("tvad/detector.py", "import rich.progress"),
        ("training/loop.py", "def f():\n    import peft"),
        ("tvad/detector.py", "import segment_anything"),
    ],
)
def test_a_planted_violation_is_caught(file: str, source: str) -> None:
    assert wrong_imports(source, file)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tvad/api.py", "def f():\n    from chat.session import Session"),
        ("tvad/cli_chat.py", "import rich"),
        ("training/loop.py", "from chat.prompt import build"),
        ("tvad/detector.py", "from heatmap.tracks import Tracker\nfrom tvad.video import VideoReader"),
        ("tvad/lvlm/lora.py", "import peft"),
    ],
)
def test_what_the_layout_allows_passes(file: str, source: str) -> None:
    assert wrong_imports(source, file) == []


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_no_file_is_long_or_bound_to_one_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    # Spelled in pieces, so that this file passes its own test.
    homes = "|".join(["/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/", "/Us" + "ers/", "/tm" + "p/"])
    assert not re.search(rf"[\"'\s(=](?:{homes})\w", text)


def modules_after(*arguments: str) -> set[str]:
    """Top-level modules loaded when `python ARGUMENTS` ends."""
    code = (
        "import sys, atexit, runpy\n"
        "atexit.register(lambda: print('\\nLOADED', *sorted({m.split('.')[0] for m in sys.modules})))\n" + arguments[0]
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "code",
    [
        "import tvad",
        "import tvad.cli, tvad.api, tvad.cache, tvad.weights, tvad.presets, tvad.settings",
        "sys.argv = ['tvad', '--help']; runpy.run_module('tvad', run_name='__main__')",
        "sys.argv = ['tvad', 'ask', '--help']; runpy.run_module('tvad', run_name='__main__')",
        "sys.argv = ['tvad', 'models', '--json']; runpy.run_module('tvad', run_name='__main__')",
    ],
)
def test_it_starts_without_anything_heavy(code: str) -> None:
    assert modules_after(code) & HEAVY == set()


def code_blocks() -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def command_lines() -> list[str]:
    """Lines of the README's code blocks that run make or tvad, without prompt and comment."""
    lines = (line.strip().removeprefix("$ ").split("  #")[0] for block in code_blocks() for line in block.splitlines())
    return [line for line in lines if re.match(r"(\.venv/bin/)?(make|tvad) ", line)]


def readme_tree() -> list[str]:
    """Paths of the README's file tree: the block whose lines are `path  what it is`, folders ending in a slash."""
    paths: list[str] = []
    for block in code_blocks():
        lines = [line for line in block.splitlines() if line.strip()]
        if not any(line.startswith("tvad/") for line in lines):
            continue
        folders: list[tuple[int, str]] = []
        for line in lines:
            indent, entry = len(line) - len(line.lstrip()), line.split()[0]
            folders = [(deep, folder) for deep, folder in folders if deep < indent]
            full = "".join(folder for _, folder in folders) + entry
            paths.append(full)
            if entry.endswith("/"):
                folders.append((indent, entry))
    return paths


def test_the_readme_names_its_commands_and_tree() -> None:
    assert any(line.startswith("make demo") for line in command_lines())
    assert any("tvad ask" in line for line in command_lines())
    assert "tvad/" in readme_tree()


def test_the_readme_s_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {word for line in command_lines() if line.startswith("make ") for word in line.split()[1:]}
    assert named <= targets


def test_the_readme_s_tvad_commands_and_flags_exist() -> None:
    from typer.main import get_command
    from typer.testing import CliRunner

    from tvad.cli import app

    for line in command_lines():
        words = line.removeprefix(".venv/bin/").split()
        if words[0] != "tvad" or words[1].startswith("-"):
            continue
        path: list[str] = []
        command: Any = get_command(app)
        while hasattr(command, "commands"):
            path.append(words[1 + len(path)])
            assert path[-1] in command.commands, line
            command = command.commands[path[-1]]
        flags = {flag for parameter in command.params for flag in parameter.opts}
        if command.context_settings.get("ignore_unknown_options"):  # another parser takes them
            flags = set(re.findall(r"--?[a-z][a-z-]*", CliRunner().invoke(app, [*path, "--help"]).stdout))
        assert {word.split("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)} <= flags | {"--help"}, line


def test_the_readme_s_tree_exists() -> None:
    assert [path for path in readme_tree() if not (ROOT / path).exists()] == []


def test_every_package_is_in_the_readme_s_tree() -> None:
    assert {f"{package}/" for package in PACKAGES} <= set(readme_tree())
