"""Real clips with a yes or no: does the video show something anomalous? Folders as `../shared/data` has them.

Next: training/evaluate_answers.py
"""

import json
from collections.abc import Callable
from pathlib import Path

Labelled = list[tuple[Path, bool]]


def ped2(data: Path) -> Labelled:
    """UCSD Ped2: every test clip has an anomaly somewhere, no training clip has one."""
    return _clips(data / "ped2" / "test", True) + _clips(data / "ped2" / "train", False)


def falls(data: Path) -> Labelled:
    """GMDCSA-24: staged falls against daily activities."""
    folder = data / "gmdcsa24_fall"
    if not (folder / "labels.json").is_file():
        return []
    known = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [(folder / name, bool(about["fall"])) for name, about in sorted(known.items())]


def fights(data: Path) -> Labelled:
    """Surveillance fights (Akti et al. 2019): two seconds each."""
    return _clips(data / "fight_surv" / "fight", True) + _clips(data / "fight_surv" / "noFight", False)


def street(data: Path) -> Labelled:
    """A burning house against ordinary streets."""
    folder = data / "street"
    known = {"fire_house6.mp4": True, "vtest.avi": False, "people_intel.mp4": False, "road_bgs03.avi": False}
    return [(folder / name, anomalous) for name, anomalous in known.items() if (folder / name).is_file()]


SETS: dict[str, Callable[[Path], Labelled]] = {"ped2": ped2, "falls": falls, "fights": fights, "street": street}


def _clips(folder: Path, anomalous: bool) -> Labelled:
    return [(path, anomalous) for path in sorted(folder.glob("*.*")) if path.suffix in (".mp4", ".avi")]
