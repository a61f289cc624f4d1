"""Colour and size words."""

import numpy as np
import pytest

from heatmap.appearance import NAMES, TERMS, describe_appearance, name_pixels


def _crop(rgb: tuple[int, int, int], shape: tuple[int, int] = (60, 40)) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (*shape, 3)).copy()


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((128, 128, 128), "grey"),
        ((255, 255, 255), "white"),
        ((245, 245, 220), "white"),
        ((255, 0, 0), "red"),
        ((139, 0, 0), "dark red"),
        ((220, 20, 60), "red"),
        ((255, 192, 203), "pink"),
        ((255, 105, 180), "pink"),
        ((255, 165, 0), "orange"),
        ((139, 69, 19), "brown"),
        ((210, 180, 140), "light brown"),
        ((255, 255, 0), "yellow"),
        ((255, 215, 0), "yellow"),
        ((0, 128, 0), "green"),
        ((0, 100, 0), "dark green"),
        ((144, 238, 144), "light green"),
        ((0, 0, 255), "blue"),
        ((0, 0, 128), "dark blue"),
        ((173, 216, 230), "light blue"),
        ((128, 0, 128), "purple"),
    ],
)
def test_named_colours_have_their_names(rgb: tuple[int, int, int], name: str) -> None:
    assert NAMES[name_pixels(np.array([rgb], np.uint8))[0]] == name
    expected = {"black": "dark", "grey": "grey", "white": "light"}.get(name, name) if len(set(rgb)) == 1 else name
    assert describe_appearance([_crop(rgb)], None, 0.001) == f"small {expected}"


def test_every_colour_has_a_name() -> None:
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(-1, 3).astype(np.uint8)
    index = name_pixels(cube)
    assert index.min() >= 0 and index.max() < len(NAMES)
    assert len(set(index.tolist())) == len(NAMES)


@pytest.mark.parametrize(
    ("area", "word"),
    [(0.0, "small"), (0.0099, "small"), (0.01, "medium-sized"), (0.079, "medium-sized"), (0.08, "large")],
)
def test_sizes(area: float, word: str) -> None:
    assert describe_appearance([_crop((0, 0, 128))], None, area) == f"{word} dark blue"


def test_two_colours_the_larger_first() -> None:
    crop = _crop((0, 0, 128))
    crop[:25] = 255
    assert describe_appearance([crop], None, 0.02) == "medium-sized dark blue and white"


def test_a_third_colour_and_a_dash_of_one_are_left_out() -> None:
    crop = _crop((0, 0, 128))
    crop[10:14] = (255, 0, 0)
    assert describe_appearance([crop], None, 0.02) == "medium-sized dark blue"


def test_without_a_mask_the_rim_does_not_count() -> None:
    crop = _crop((0, 128, 0), (100, 100))
    crop[20:80, 20:80] = (255, 0, 0)
    assert describe_appearance([crop], None, 0.001) == "small red"


def test_a_mask_says_where_to_look() -> None:
    crop = _crop((0, 128, 0), (100, 100))
    crop[:, :10] = (255, 255, 0)
    mask = np.zeros((100, 100), bool)
    mask[:, :10] = True
    assert describe_appearance([crop], [mask], 0.001) == "small yellow"
    assert describe_appearance([crop], [np.zeros((100, 100), bool)], 0.001) == "small green"


def test_a_thin_mask_between_the_samples_is_seen() -> None:
    crop = _crop((0, 128, 0), (200, 200))
    crop[101, 101] = (255, 0, 0)
    mask = np.zeros((200, 200), bool)
    mask[101, 101] = True
    assert describe_appearance([crop], [mask], 0.001) == "small red"


def test_crops_vote_equally_whatever_their_size() -> None:
    crops = [_crop((255, 0, 0), (10, 10)), _crop((255, 0, 0), (12, 12)), _crop((0, 0, 255), (300, 300))]
    assert describe_appearance(crops, None, 0.001) == "small red and blue"


def test_shades_of_one_colour_are_one_vote() -> None:
    crops = [_crop((0, 0, 100)), _crop((0, 0, 128)), _crop((0, 0, 255)), _crop((200, 40, 40))]
    assert describe_appearance(crops, None, 0.001) == "small dark blue and red"


def test_shadows_on_black_are_black() -> None:
    crop = _crop((10, 10, 12))
    crop[:28] = (75, 80, 75)
    assert describe_appearance([crop], None, 0.001) == "small black"


def test_footage_without_colour_is_dark_or_light() -> None:
    crop = _crop((40, 40, 40))
    crop[30:] = 60
    assert describe_appearance([crop], None, 0.001) == "small dark"


def test_without_crops_only_the_size_is_known() -> None:
    assert describe_appearance([], None, 0.2) == "large"
    assert describe_appearance([np.zeros((0, 5, 3), np.uint8)], None, 0.2) == "large"


def test_small_crops_work() -> None:
    assert describe_appearance([_crop((255, 0, 0), (1, 1))], None, 0.001) == "small red"


def test_bad_crops_and_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="expected \\(h, w, 3\\) uint8"):
        describe_appearance([np.zeros((4, 4, 3))])
    with pytest.raises(ValueError, match="1 crops but 0 masks"):
        describe_appearance([_crop((0, 0, 0))], [])
    with pytest.raises(ValueError, match="that of its crop"):
        describe_appearance([_crop((0, 0, 0))], [np.ones((2, 2), bool)])


def test_the_ground_that_a_mask_takes_along_is_not_the_things_colour() -> None:
    crop = np.full((40, 40, 3), 128, np.uint8)  # grey ground
    crop[10:30, 15:25] = (200, 30, 30)
    mask = np.zeros((40, 40), bool)
    mask[5:35, 8:32] = True  # a third red, the rest ground
    assert describe_appearance([crop], [mask], 0.02) == "medium-sized red"
    assert describe_appearance([np.full_like(crop, 128)], [mask], 0.02) == "medium-sized grey"


def test_an_empty_crop_among_others_says_nothing() -> None:
    red = np.full((10, 10, 3), (200, 30, 30), np.uint8)
    assert describe_appearance([red[:0], red], None, 0.02) == "medium-sized red"
    assert describe_appearance([red[:0]], None, 0.02) == "medium-sized"


def test_shares_of_halves_say_which_colours_and_pixels_how_dark() -> None:
    crop = np.concatenate([_crop((139, 0, 0), (30, 40)), _crop((128, 128, 128), (30, 40))])
    mask = np.ones((60, 40), bool)
    shares = np.zeros((2, len(TERMS)), np.float32)
    shares[0, TERMS.index("red")], shares[1, TERMS.index("blue")] = 0.6, 0.5
    assert describe_appearance([crop], [mask], 0.001, shares) == "small dark red and blue"
    shares[1] = shares[0]
    assert describe_appearance([crop], [mask], 0.001, shares) == "small dark red"
