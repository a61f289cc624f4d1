"""The engine on many machines: the very functions of the local engine, as two stages of Ray Data.

Looking: actors with a core each (and a share of a GPU for `--device cuda`), each with a worker process of its own, so
that limits and crashes mean what they mean locally. Wording: actors that word batches. Ray Data holds back the first
stage while the second is behind, starts actors that died again, and repeats what they had in hand. The journal is
written here, by the one who asked. The one door to ray.

Next: docs/CLUSTER.md
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chat.captions.engine import Count, Looked, Narrator, failure, todo
from chat.captions.words import Wanted
from tvad.batch.inputs import Item
from tvad.batch.journal import Journal
from tvad.batch.pool import Limits, Pool, Task

AT_ONCE = 4  # videos handed to an actor together: what is done again when it dies
Rows = dict[str, Any]  # column -> array, as Ray Data hands batches over


@dataclass(frozen=True)
class Cluster:
    """address: of a Ray cluster, None starts one on this machine. gpus: of each actor, 0 for none."""

    address: str | None = None
    gpus: float = 0.0


class Looking:
    """A stage's actor: items to what was found in them."""

    def __init__(self, look: Callable[[], Task[Looked]], limits: Limits) -> None:
        self._pool = Pool(look, 1, limits)

    def __call__(self, rows: Rows) -> Iterator[Rows]:
        items = [Item(str(path), str(key)) for path, key in zip(rows["path"], rows["key"], strict=True)]
        for outcomes in self._pool.run(items):
            for outcome in outcomes:
                found = {"path": [outcome.item.path], "key": [outcome.item.key]}
                failed = json.dumps(failure(outcome)) if outcome.value is None else ""
                yield found | {"failed": [failed], "looked": [outcome.value]}


class Wording:
    """A stage's actor: what was found to records. Failures pass."""

    def __init__(self, wanted: Wanted, preset: str) -> None:
        self._narrator = Narrator(wanted, preset)

    def __call__(self, rows: Rows) -> Rows:
        looked = [value for value in rows["looked"] if value is not None]
        records = iter(self._narrator.records(looked))
        told = [json.dumps(next(records)) if value is not None else "" for value in rows["looked"]]
        return {"path": rows["path"], "key": rows["key"], "failed": rows["failed"], "record": told}


def caption_on_ray(
    items: Sequence[Item],
    journal: Journal,
    look: Callable[[], Task[Looked]],
    wanted: Wanted,
    workers: int,
    limits: Limits,
    retry_failed: bool = False,
    preset: str = "mini",
    batch: int = 8,
    cluster: Cluster | None = None,
) -> Iterator[Count]:
    """As `engine.caption_all`, on a cluster. ValueError without the package ray; ConnectionError without a cluster."""
    cluster = cluster or Cluster()
    left = todo(items, journal, retry_failed)
    count = Count(total=len(items), before=len(items) - len(left))
    yield count
    if not left:
        return
    ray = _started(cluster, workers)
    try:
        rows = [{"path": item.path, "key": item.key} for item in left]
        data = ray.data.from_items(rows, override_num_blocks=max(1, -(-len(rows) // AT_ONCE)))
        looked = data.map_batches(
            Looking,
            fn_constructor_args=(look, limits),
            batch_size=AT_ONCE,
            concurrency=(1, workers),
            num_cpus=1,
            num_gpus=cluster.gpus or None,
        )
        worded = looked.map_batches(
            Wording,
            fn_constructor_args=(wanted, preset),
            batch_size=batch,
            concurrency=1,
            num_cpus=0.1,
            num_gpus=cluster.gpus or None,
        )
        for found in worded.iter_batches(batch_size=None, prefetch_batches=1):
            _write(found, journal, count)
            yield count
    finally:
        ray.shutdown()


def _started(cluster: Cluster, workers: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    try:
        import ray
        import ray.data
    except ImportError:
        raise ValueError("the engine ray is not here; run: pip install 'tvad[ray]' (--engine)") from None
    cores = None if cluster.address else workers + 1
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(cluster.address, num_cpus=cores, **quiet)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray


def _write(rows: Rows, journal: Journal, count: Count) -> None:
    entries = []
    for path, key, failed, record in zip(rows["path"], rows["key"], rows["failed"], rows["record"], strict=True):
        said = json.loads(record or failed)
        entries.append((str(key), str(path), bool(record), said))
        count.done += bool(record)
        count.failed += not record
        if record:
            count.anomalous += said["has_anomaly"]
            count.video_s += said["video"]["duration_s"]
    journal.append(entries)
