"""The cache of analyses: what makes a key, whole entries only, the bound."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tvad import cache
from tvad.evidence import Analysis, Curves, Evidence, VideoMeta
from tvad.settings import Settings

SHA = "a" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TVAD_CACHE_GB", raising=False)
    return tmp_path / "cache"


def make_analysis(path: str = "gate.mp4", n_maps: int = 4) -> Analysis:
    video = VideoMeta(path, SHA, 2.0, 10.0, 64, 48)
    evidence = Evidence(video, "mini", {"tvad": "1"}, {}, (), (), False, 0.9, "nothing")
    # Noise: what does not compress, so that sizes are what they seem.
    heat = np.random.default_rng(0).random((n_maps, 30, 40)).astype(np.float16)
    scores = np.linspace(0, 1, 20, dtype=np.float32)
    return Analysis(evidence, Curves(np.arange(20) / 10, scores, np.arange(n_maps) / 2, heat))


def test_what_was_stored_comes_back() -> None:
    made = make_analysis()
    cache.store("0" * 32, made)
    found = cache.load("0" * 32)
    assert found is not None
    assert found.evidence == made.evidence
    np.testing.assert_array_equal(found.curves.heat, made.curves.heat)
    np.testing.assert_array_equal(found.curves.scores, made.curves.scores)


def test_absent_is_none() -> None:
    assert cache.load("f" * 32) is None
    assert cache.entries() == []
    assert cache.clear() == 0


def test_same_content_at_another_path_tells_the_new_path() -> None:
    cache.store("0" * 32, make_analysis("old.mp4"))
    found = cache.load("0" * 32, "new.mp4")
    assert found is not None
    assert found.evidence.video.path == "new.mp4"


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 4.0},
        {"start_s": 1.0},
        {"end_s": 2.0},
        {"anomaly": ("bicycle",)},
        {"anomaly": ()},
        {"normal": ("person",)},
        {"parts": ("memory",)},
        {"false_alarms_per_hour": 2.0},
        {"preset": "other"},
    ],
)
def test_each_setting_changes_the_key(change: dict[str, object]) -> None:
    base = Settings()
    assert cache.analysis_key(SHA, base) == cache.analysis_key(SHA, Settings())
    assert cache.analysis_key(SHA, replace(base, **change)) != cache.analysis_key(SHA, base)  # type: ignore[arg-type]


def test_the_video_changes_the_key() -> None:
    assert cache.analysis_key("b" * 64, Settings()) != cache.analysis_key(SHA, Settings())


def test_versions_change_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.analysis_key(SHA, Settings())
    monkeypatch.setattr(cache, "versions", lambda: {"tvad": "another"})
    assert cache.analysis_key(SHA, Settings()) != before


def test_a_scene_file_counts_by_content(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_bytes(b"scene")
    same.write_bytes(b"scene")
    other.write_bytes(b"another scene")
    keys = [cache.analysis_key(SHA, Settings(scene=str(path))) for path in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    assert cache.analysis_key(SHA, Settings()) not in keys
    with pytest.raises(FileNotFoundError):
        cache.analysis_key(SHA, Settings(scene=str(tmp_path / "none")))


@pytest.mark.parametrize("name", ["evidence.json", "scores.npz"])
def test_a_damaged_entry_is_dropped(name: str) -> None:
    key = "0" * 32
    cache.store(key, make_analysis())
    path = cache.analyses_dir() / key / name
    path.write_bytes(path.read_bytes()[:40])
    assert cache.load(key) is None
    assert not path.parent.exists()
    cache.store(key, make_analysis())
    assert cache.load(key) is not None


def test_a_failing_store_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Evidence, path: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Evidence, "save", full)
    with pytest.raises(OSError, match="No space"):
        cache.store("0" * 32, make_analysis())
    assert list(cache.analyses_dir().iterdir()) == []


def test_an_abandoned_half_is_no_entry_and_goes() -> None:
    half = cache.analyses_dir() / ".new-killed"
    half.mkdir(parents=True)
    os.utime(half, (0, 0))
    assert cache.entries() == []
    cache.store("0" * 32, make_analysis())
    assert not half.exists()


def test_storing_a_key_twice_keeps_one() -> None:
    cache.store("0" * 32, make_analysis())
    cache.store("0" * 32, make_analysis())
    assert [entry.key for entry in cache.entries()] == ["0" * 32]


def test_the_least_recently_used_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [digit * 32 for digit in "0123"]
    for n, key in enumerate(keys[:3]):
        cache.store(key, make_analysis(f"{n}.mp4"))
        os.utime(cache.analyses_dir() / key, (1000 + n, 1000 + n))
    one = cache.entries()[0].size_bytes
    assert cache.load(keys[0]) is not None  # now the most recently used of the three
    monkeypatch.setenv("TVAD_CACHE_GB", str(3.5 * one / 1e9))
    cache.store(keys[3], make_analysis("3.mp4"))
    assert {entry.key for entry in cache.entries()} == {keys[0], keys[2], keys[3]}
    assert [entry.key for entry in cache.entries()][-1] == keys[2]


def test_what_was_just_stored_stays_even_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVAD_CACHE_GB", "0.000001")
    cache.store("0" * 32, make_analysis())
    cache.store("1" * 32, make_analysis())
    assert [entry.key for entry in cache.entries()] == ["1" * 32]


def test_zero_keeps_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("TVAD_CACHE_GB", "0")
    cache.store("0" * 32, make_analysis())
    assert not folder.exists()


@pytest.mark.parametrize("given", ["", "much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVAD_CACHE_GB", given)
    with pytest.raises(ValueError, match="TVAD_CACHE_GB"):
        cache.limit_bytes()


def test_clear_drops_analyses_and_keeps_the_rest(folder: Path) -> None:
    cache.store("0" * 32, make_analysis())
    (folder / "models").mkdir()
    (folder / "models" / "m").write_bytes(b"12345")
    assert cache.size_bytes() > 5
    assert cache.clear() == 1
    assert cache.entries() == []
    assert cache.size_bytes() == 5


def test_entries_tell_video_and_size() -> None:
    cache.store("0" * 32, make_analysis("gate.mp4", n_maps=2))
    (entry,) = cache.entries()
    assert entry.video == "gate.mp4"
    assert entry.size_bytes > 2 * 30 * 40


def test_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TVAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_dir() == tmp_path / "tvad"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache.cache_dir() == Path.home() / ".cache" / "tvad"
