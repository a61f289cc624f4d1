"""What the page shows: no peak is lost, heat has the colours of the other pictures, numbers are JSON."""

import io
import json
from dataclasses import replace

import numpy as np
from chat_fakes import make_evidence, three_events
from desk_fakes import analysis
from PIL import Image

from chat.board import COLUMNS, TILES, follow_ups, heat_pictures, page_data
from heatmap.palette import heat_tables
from tvad.evidence import Analysis
from tvad.sight import Sight
from tvad.stills import thinned


def test_all_of_it_is_json() -> None:
    data = json.loads(json.dumps(page_data(analysis(), "clip.mp4"), allow_nan=False))
    assert data["name"] == "clip.mp4" and data["duration_s"] == 30.0 and data["size"] == [640, 360]
    assert [e["id"] for e in data["events"]] == [1, 2, 3] and data["events"][0]["track_ids"] == [1]
    assert data["events"][2]["what"] == [] and data["events"][0]["motion"]
    assert data["tracks"][0]["boxes"][0][0] == 5.0 and len(data["tracks"][0]["boxes"][0]) == 5
    assert data["heat"] == {"times_s": data["heat"]["times_s"], "rows": 9, "columns": 12, "tiles": TILES,
                            "across": COLUMNS, "pictures": 1, "floor": 0.25}  # fmt: skip


def test_no_peak_is_lost_in_a_long_curve() -> None:
    times = np.arange(50_000) / 25
    scores = np.full(50_000, 0.1, np.float32)
    scores[31_415] = 0.9
    t, s = thinned(times, scores, 1200)
    assert len(t) == 1200 and max(s) == np.float32(0.9) and t[int(np.argmax(s))] == times[31_415]
    assert (np.diff(t) > 0).all()
    few = thinned(times[:10], scores[:10], 1200)
    np.testing.assert_array_equal(few, (times[:10], scores[:10]))


def test_heat_has_the_colours_of_the_absolute_scale() -> None:
    heat = np.linspace(0, 1, 300 * 2 * 3).reshape(300, 2, 3).astype(np.float16)
    sheets = [np.asarray(Image.open(io.BytesIO(data))) for data in heat_pictures(heat)]
    assert [s.shape for s in sheets] == [(2 * TILES // COLUMNS, 3 * COLUMNS, 4), (2 * 3, 3 * COLUMNS, 4)]
    colours, alpha = heat_tables()
    for n in (0, 17, 255, 256, 299):
        row, column = divmod(n % TILES, COLUMNS)
        tile = sheets[n // TILES][2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
        steps = (np.clip(heat[n].astype(np.float32), 0, 1) * 255).astype(np.uint8)
        np.testing.assert_array_equal(tile[..., :3], colours[steps])
        np.testing.assert_array_equal(tile[..., 3], np.round(alpha * 255).astype(np.uint8)[steps])
    assert sheets[1][4:, 3 * 12 :].max(initial=0) in (0, colours[0].max())  # room for more than there is


def test_heat_that_is_no_number_is_cold() -> None:
    sheet = np.asarray(Image.open(io.BytesIO(heat_pictures(np.full((1, 2, 2), np.nan, np.float16))[0])))
    assert sheet[:2, :2, 3].max() == 0
    assert heat_pictures(np.zeros((0, 4, 4), np.float16)) == []


def test_the_least_usual_moment_is_shown_where_nothing_is_anomalous() -> None:
    full = three_events()
    calm = make_evidence((), ())
    sight = Sight.empty(2)._replace(suspects=full.to_json()) if hasattr(Sight, "_replace") else replace(
        Sight.empty(len(full.tracks)), suspects=full.to_json()
    )  # fmt: skip
    made = analysis(calm)
    data = page_data(Analysis(calm, replace(made.curves, sight=sight)), "x")
    assert data["events"] == [] and len(data["suspects"]) == 3 and data["suspects"][0]["tracks"][0]["boxes"]


def test_a_kind_is_shown_with_its_probability_or_as_unspecified() -> None:
    known = three_events()
    sure = {"normal": 0.1, "fighting": 0.9}
    first = replace(known.events[1], kind="fighting", category="fighting", class_probs=sure)
    second = replace(known.events[2], class_probs=sure)
    data = page_data(analysis(make_evidence((first, second), known.tracks)), "x")
    assert [(e["kind"], e["kind_sure"]) for e in data["events"]] == [("fighting", 0.9), ("unspecified", 0.0)]


def test_follow_ups_suit_the_evidence_and_are_not_repeated() -> None:
    some = follow_ups(three_events())
    assert some[0].startswith("What does the target look like") and len(some) == 3
    assert some[0] not in follow_ups(three_events(), [some[0].upper()])
    none = follow_ups(make_evidence((), ()))
    assert none[0] == "What is the least usual moment?" and none[-1] == "Why is there no alarm?"
