"""Colours of things by what reads them beside their surroundings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from heatmap.appearance import TERMS, colour_shares
from training.colours import probs, relit, save
from tvad.colours import INPUTS, SHAPES, STRONG, ColourReader, ColoursError, inputs, lab_of, sampled

RED, BLUE, WHITE, BLACK, GREY = (190, 30, 35), (40, 60, 150), (235, 235, 232), (28, 27, 30), (128, 127, 124)


def figure(upper: tuple[int, int, int], lower: tuple[int, int, int], ground: tuple[int, int, int] = GREY) -> np.ndarray:
    """(60, 30, 3) uint8: a body of two colours with a head on some ground, slightly uneven."""
    rng = np.random.default_rng(0)
    out = np.empty((60, 30, 3))
    out[:] = ground
    out[12:32, 7:23], out[32:58, 9:21], out[4:12, 12:18] = upper, lower, (200, 160, 135)
    return np.clip(out + rng.normal(0, 4, out.shape), 0, 255).astype(np.uint8)


def body() -> np.ndarray:
    """Its mask, with a rim of ground."""
    out = np.zeros((60, 30), bool)
    out[11:33, 6:24] = out[32:59, 8:22] = out[3:12, 11:19] = True
    return out


def named(crop: np.ndarray) -> list[str]:
    return [TERMS[int(row.argmax())] for row in ColourReader.packaged()([crop], [body()])]


@pytest.mark.parametrize(
    ("upper", "lower", "wanted"),
    [(RED, BLUE, ["red", "blue"]), (WHITE, BLACK, ["white", "black"]), (BLUE, BLACK, ["blue", "black"])],
)
def test_halves_are_told_apart(upper: tuple[int, int, int], lower: tuple[int, int, int], wanted: list[str]) -> None:
    assert named(figure(upper, lower)) == wanted


@pytest.mark.parametrize(
    ("rgb", "name"), [((220, 10, 10), "red"), ((240, 215, 40), "yellow"), ((20, 160, 30), "green")]
)
def test_a_strong_colour_is_what_it_is_called(rgb: tuple[int, int, int], name: str) -> None:
    assert named(figure(rgb, BLACK))[0] == name
    whole = np.full((32, 16, 3), rgb, np.uint8)
    found = ColourReader.packaged()([whole], [np.ones((32, 16), bool)])
    assert [TERMS[int(row.argmax())] for row in found] == [name, name]


def test_white_in_poor_light_is_white_where_its_pixels_are_called_grey() -> None:
    dim = (figure(WHITE, BLACK, (110, 110, 108)) * 0.75).astype(np.uint8)
    assert TERMS[int(colour_shares([dim], [body()])[0].argmax())] == "grey"
    assert named(dim) == ["white", "black"]


def test_rows_are_shares_and_each_picture_has_one_vote() -> None:
    a, b, mask = figure(RED, BLUE), figure(WHITE, BLACK), body()
    reader = ColourReader.packaged()
    both = reader([a, b], [mask, mask])
    assert both.shape == (2, len(TERMS)) and both.dtype == np.float32
    np.testing.assert_allclose(both.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(both, (reader([a], [mask]) + reader([b], [mask])) / 2, atol=1e-6)
    np.testing.assert_array_equal(reader([a, b], [mask, np.zeros_like(mask)]), reader([a], [mask]))


def test_footage_without_colours_keeps_the_names_of_its_pixels() -> None:
    grey = np.repeat(figure(WHITE, BLACK)[..., :1], 3, axis=2)
    np.testing.assert_array_equal(ColourReader.packaged()([grey], [body()]), colour_shares([grey], [body()]))
    assert not ColourReader.packaged()([figure(RED, BLUE)], [np.zeros((60, 30), bool)]).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (64, 64)])
def test_any_shape_is_read(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    crop = rng.integers(0, 255, (*shape, 3), dtype=np.uint8)
    thin = np.zeros(shape, bool)
    thin[-1, -1] = True  # off the grid of a large crop
    for mask in (np.ones(shape, bool), thin):
        found = inputs(*sampled(crop, mask))
        assert found.shape[1] == INPUTS and len(found) and np.isfinite(found).all()


def test_training_computes_what_the_program_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in SHAPES.items()}
    save(ColourReader(weights), tmp_path / "colours.safetensors")
    reader = ColourReader.load(tmp_path / "colours.safetensors")
    crop, mask = relit(figure((110, 80, 75), (70, 80, 110)), rng), body()
    assert np.hypot(*lab_of(crop)[..., 1:].reshape(-1, 2).T).max() < STRONG
    x = inputs(*sampled(crop, mask))
    padded = torch.zeros(1, len(x) + 5, INPUTS)
    padded[0, : len(x)] = torch.from_numpy(x)
    there = torch.arange(len(x) + 5)[None] < len(x)
    found = probs({name: torch.from_numpy(v) for name, v in weights.items()}, padded, there)[0]
    np.testing.assert_allclose(reader([crop], [mask]), found, atol=1e-5)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    good = dict(ColourReader.packaged().weights)
    with pytest.raises(ColoursError, match="w1"):
        ColourReader(good | {"w1": good["w1"][:, 1:]})
    with pytest.raises(ColoursError, match="finite"):
        ColourReader(good | {"b3": good["b3"] * np.nan})
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(ColoursError, match=r"x\.safetensors is no colour reader"):
        ColourReader.load(tmp_path / "x.safetensors")
