"""Ordinary takes of a synthetic clip's camera, to calibrate on."""

import numpy as np
import pytest

from training.datasets.synthetic.clip import make_clip, ordinary_take


def test_an_ordinary_take_is_the_same_place_with_other_people() -> None:
    clip = make_clip(5, anomaly="running", layout="plaza", seconds=3.0, size_wh=(320, 180))
    one, two, again = (ordinary_take(clip, n, 3.0) for n in (1, 2, 1))
    assert (one.camera, one.place, one.backdrop) == (clip.camera, clip.place, clip.backdrop)
    assert clip.truth.has_anomaly and not one.truth.has_anomaly and not two.truth.has_anomaly
    frames = [next(c.frames())[0] for c in (one, again, two, clip)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2]) and not np.array_equal(frames[0], frames[3])
    # Nearly all of the picture is the place, which stays as it is.
    near = np.abs(frames[0].astype(int) - frames[3]).max(2) < 60
    assert near.mean() > 0.7
    assert one.truth.id != two.truth.id != clip.truth.id
    with pytest.raises(ValueError, match="take 0"):
        ordinary_take(clip, 0)
