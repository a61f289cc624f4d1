"""Pulling models from a server that cuts connections, lies and has no room: whole or not at all, and nothing twice."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hub_server import REVISION, Hub, serving
from safetensors.numpy import save

from tvad import hub as pulling
from tvad.hub import Plan, Pull
from tvad.hub_sources import PullError
from tvad.repos import LOCK, Lock, Repo, RepoFile, models_dir
from tvad.weights import MissingWeights, require

WEIGHTS = save({"w": np.arange(200_000, dtype=np.float32)})
CONFIG = b'{"model_type": "tiny"}'
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"pickle", "modeling.py": b"code"}
REPO = Repo("tiny-vl", "language model", "someone/Tiny-VL", "Apache-2.0", "us", len(WEIGHTS))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVAD_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "models"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub("someone/Tiny-VL", dict(FILES))) as running:
        yield running


class Pulled(NamedTuple):
    plan: Plan
    lock: Lock


def pull(origin: str, repo: Repo = REPO, revision: str | None = None) -> Pulled:
    with Pull(repo, origin, revision, pause_s=0.01) as work:
        plan = work.plan()
        return Pulled(plan, work.run(plan))


def fetched(hub: Hub) -> list[tuple[str, str]]:
    return [(path.rsplit("/", 1)[-1], asked) for path, asked, _ in hub.asked if "/resolve/" in path]


def test_a_model_comes_whole_with_revision_and_hashes_on_record(hub: Hub) -> None:
    plan, lock = pull(hub.url)
    folder = REPO.locate()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors", LOCK}
    assert set(plan.left_out) == {"pytorch_model.bin", "modeling.py"}, "pickles and code are not fetched"
    assert (lock.revision, lock.source) == (REVISION, hub.url)
    assert lock.files["model.safetensors"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert Lock.load(folder) == lock
    assert REPO.is_whole() and not REPO.problems() and not REPO.strangers()
    assert not (models_dir() / ".parts").exists()
    require([REPO])


def test_nothing_is_fetched_before_or_after(hub: Hub) -> None:
    with pytest.raises(MissingWeights, match=r"'tiny-vl'.*run: tvad models pull tiny-vl$"):
        REPO.locate()
    with Pull(REPO, hub.url) as work:
        work.plan()
    assert fetched(hub) == []
    pull(hub.url)
    count = len(fetched(hub))
    again = pull(hub.url)
    assert again.plan.kept is not None
    assert len(fetched(hub)) == count == 2


def test_a_cut_connection_is_gone_on_with_where_it_was(hub: Hub) -> None:
    hub.cut_after = [10, 10**9, 300_000]
    _, lock = pull(hub.url)
    assert fetched(hub)[-2:] == [("model.safetensors", ""), ("model.safetensors", "bytes=300000-")]
    assert lock.files["model.safetensors"].size_bytes == len(WEIGHTS)
    assert REPO.is_whole()


def test_what_was_fetched_before_an_interruption_is_kept(hub: Hub) -> None:
    with Pull(REPO, hub.url) as work:
        plan = work.plan()
        got = 0

        def interrupt(path: str, done: int, total: int) -> None:
            nonlocal got
            if path == "model.safetensors":
                got = done
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work.run(plan, interrupt)
    assert REPO.find() is None
    again = pull(hub.url)
    assert again.plan.here_bytes >= len(CONFIG)
    assert [name for name, _ in fetched(hub)].count("config.json") == 1
    assert REPO.is_whole()


def test_a_server_without_ranges_is_read_from_the_start(hub: Hub) -> None:
    hub.cut_after, hub.ranges = [400_000, 400_000], False
    hub.files.pop("config.json")
    pull(hub.url)
    assert REPO.is_whole()


def test_a_connection_that_never_gets_further_is_given_up_and_says_how_to_go_on(hub: Hub) -> None:
    hub.cut_after = [10**9, 1000, *[0] * 50]
    with pytest.raises(PullError, match=r"5 times in a row; 1000 bytes are kept.*tvad models pull tiny-vl$"):
        pull(hub.url)
    hub.cut_after = []
    pull(hub.url)
    assert fetched(hub)[-1] == ("model.safetensors", "bytes=1000-")
    assert REPO.is_whole()


def test_a_busy_server_is_asked_again(hub: Hub) -> None:
    hub.statuses = [503, 429]
    pull(hub.url)
    assert REPO.is_whole()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_bytes_than_the_hub_names_are_dropped(hub: Hub, name: str) -> None:
    hub.lies = {name: b"x" * len(FILES[name])}
    with pytest.raises(PullError, match=rf"{name} has .* instead of .*says it is; it was dropped"):
        pull(hub.url)
    assert REPO.find() is None
    assert not list(models_dir().rglob(f"*{name}*")), "nothing wrong is kept"
    hub.lies = {}
    pull(hub.url)
    assert REPO.is_whole()


def test_a_pin_stands_above_what_the_hub_says(hub: Hub) -> None:
    pinned = replace(REPO, files=(RepoFile("model.safetensors", len(WEIGHTS), "b" * 64),))
    with pytest.raises(PullError, match="the preset pins"):
        pull(hub.url, pinned)
    right = replace(REPO, files=(RepoFile("model.safetensors", None, hashlib.sha256(WEIGHTS).hexdigest()),))
    pull(hub.url, right)
    assert right.is_whole() and not pinned.is_whole()
    gone = replace(REPO, files=(RepoFile("other.safetensors"),))
    with pytest.raises(PullError, match=r"no other\.safetensors"):
        pull(hub.url, gone)


def test_a_pinned_revision_is_the_one_that_is_asked_for(hub: Hub) -> None:
    pull(hub.url, replace(REPO, revision=REVISION))
    assert hub.asked[1][0].endswith(f"/revision/{REVISION}")
    with pytest.raises(PullError, match="no someone/Tiny-VL at revision c"):
        pull(hub.url, replace(REPO, revision="c" * 40))
    with pytest.raises(MissingWeights, match=f"revision {REVISION} is here, {'c' * 40} is pinned"):
        replace(REPO, revision="c" * 40).locate()


def test_a_mirror_of_another_revision_is_refused(hub: Hub, own_folder: Path) -> None:
    pull(hub.url)
    with pytest.raises(PullError, match="gives revision aaaa"):
        pull(str(own_folder), REPO, "d" * 40)


def test_a_revision_that_is_named_is_not_taken_on_trust(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "config.json").write_bytes(CONFIG)
    (plain / "model.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(PullError, match="nobody noted which revision"):
        pull(str(plain), REPO, "d" * 40)
    assert pull(str(plain)).lock.revision == "unknown"


def test_no_room_is_said_before_the_first_byte(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(PullError, match=r"needs 0\.27 GB more .*0\.00 GB are free; .*TVAD_MODELS"):
        pull(hub.url)
    assert fetched(hub) == []


def test_a_disk_that_fills_up_keeps_what_was_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pulling.os, "fsync", full)
        with pytest.raises(PullError, match=r"No space left on device .*kept; make room"):
            pull(hub.url)
    assert REPO.find() is None
    pull(hub.url)
    assert REPO.is_whole()


def test_a_mirror_is_a_pulled_folder_behind_any_web_server(
    hub: Hub, own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(hub.url)
    inside = own_folder / "someone--Tiny-VL"
    with serving(Hub("nobody/nothing", {})) as mirror:
        mirror.extra = {f"/models/someone--Tiny-VL/{p.name}": p.read_bytes() for p in inside.iterdir()}
        monkeypatch.setenv("TVAD_MODELS", str(tmp_path / "air-gapped"))
        _, lock = pull(f"{mirror.url}/models/")
        assert lock.revision == REVISION
        assert REPO.is_whole()
        mirror.extra["/models/someone--Tiny-VL/config.json"] = CONFIG.replace(b"tiny", b"evil")
        monkeypatch.setenv("TVAD_MODELS", str(tmp_path / "another"))
        with pytest.raises(PullError, match=r"config\.json has sha256"):
            pull(f"{mirror.url}/models")
        assert all("/resolve/" not in path for path, _, _ in mirror.asked)


def test_a_folder_on_a_stick(hub: Hub, own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(hub.url)
    monkeypatch.setenv("TVAD_MODELS", str(tmp_path / "air-gapped"))
    assert pull(str(own_folder)).lock.revision == REVISION
    assert REPO.is_whole()


def test_a_folder_without_a_lock_has_nothing_to_be_checked_against_and_is_recorded(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for name, data in FILES.items():
        (stick / name).write_bytes(data)
    plan, lock = pull(str(stick))
    assert set(plan.unchecked) == {"config.json", "model.safetensors"}
    assert lock.revision == "unknown"
    assert lock.files["config.json"].sha256 == hashlib.sha256(CONFIG).hexdigest()
    (REPO.folder / "config.json").write_bytes(CONFIG.replace(b"tiny", b"evil"))
    assert REPO.problems() and not REPO.problems(read=False)


@pytest.mark.parametrize(
    "data", [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", b"<html>no</html>"]
)
def test_what_is_no_safetensors_is_not_installed(tmp_path: Path, data: bytes) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "config.json").write_bytes(CONFIG)
    (stick / "model.safetensors").write_bytes(data)
    with pytest.raises(PullError, match="is no safetensors file"):
        pull(str(stick))
    assert REPO.find() is None


def test_pickles_alone_are_refused(hub: Hub) -> None:
    hub.files.pop("model.safetensors")
    with pytest.raises(PullError, match="no safetensors, and other weights are not read"):
        pull(hub.url)


@pytest.mark.parametrize("name", ["../escape.json", "/etc/escape.json", "a/../../escape.json", "..\\escape.json"])
def test_names_that_lead_outside_are_left_out(hub: Hub, own_folder: Path, name: str) -> None:
    hub.files[name] = b"{}"
    assert name in pull(hub.url).plan.left_out
    assert not list(own_folder.parent.rglob("*escape*"))


def test_the_key_goes_to_the_named_host_alone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-key-123")
    with serving(Hub("someone/Tiny-VL", dict(FILES))) as store:
        hub.store = store.url.replace("127.0.0.1", "localhost")
        pull(hub.url)
        assert {key for _, _, key in hub.asked} == {"Bearer secret-key-123"}
        assert {key for _, _, key in store.asked} == {""}
    assert "secret-key-123" not in (REPO.folder / LOCK).read_text()


def test_places_that_are_none(tmp_path: Path) -> None:
    for origin in ("no such folder", "ftp://host/models", "https://me:pass@host", "https://host?key=1"):
        with pytest.raises(PullError, match="--from"):
            Pull(REPO, origin)
    with pytest.raises(PullError, match="holds neither"), Pull(REPO, str(tmp_path)) as work:
        work.plan()
    with pytest.raises(PullError, match="cannot be reached"), Pull(REPO, "http://127.0.0.1:9") as work:
        work.plan()


def test_a_list_that_is_none(hub: Hub) -> None:
    hub.extra[f"/api/models/{hub.repo}/revision/main"] = b"<html>"
    with pytest.raises(PullError, match="is no list of files"):
        pull(hub.url)


def test_a_lock_that_is_damaged_is_said(hub: Hub) -> None:
    pull(hub.url)
    (REPO.folder / LOCK).write_text(json.dumps({"format": 1, "files": {"../x": {}}}))
    with pytest.raises(MissingWeights, match="cannot be read"):
        REPO.locate()
    pull(hub.url)
    assert REPO.is_whole()


def test_a_new_revision_replaces_the_old_one_only_when_it_is_whole(hub: Hub) -> None:
    pull(hub.url)
    hub.revision, hub.lies = "e" * 40, {"model.safetensors": b"x" * len(WEIGHTS)}
    with pytest.raises(PullError):
        pull(hub.url)
    assert REPO.is_whole() and Lock.load(REPO.folder).revision == REVISION
    hub.lies = {}
    pull(hub.url)
    assert REPO.is_whole() and Lock.load(REPO.folder).revision == "e" * 40
    assert [p.name for p in models_dir().iterdir()] == ["someone--Tiny-VL"]


def test_two_at_once(hub: Hub) -> None:
    with Pull(REPO, hub.url) as first, Pull(REPO, hub.url) as second:
        plan = first.plan()

        def meanwhile(path: str, done: int, total: int) -> None:
            with pytest.raises(PullError, match="another process"):
                second.run(plan)

        first.run(plan, meanwhile)
    assert REPO.is_whole()
