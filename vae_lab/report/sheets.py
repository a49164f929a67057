"""The newest pictures of each arm."""

from pathlib import Path

from vae_lab.report.selection import StudyRuns
from vae_lab.tracking.artifacts import last_frames
from vae_lab.tracking.records import read_run
from vae_lab.tracking.store import Store


def sheets_of(store: Store, runs: StudyRuns, folder: Path) -> dict[str, dict[str, tuple[int, int, bytes]]]:
    """The newest pictures by kind and arm, as (seed, epoch, PNG); of one seed in all arms, where they share one."""
    seeds = [set(by_seed) for by_seed in runs.counted.values() if by_seed]
    shared = set.intersection(*seeds) if seeds else set()
    found: dict[str, dict[str, tuple[int, int, bytes]]] = {}
    for arm, by_seed in runs.counted.items():
        if by_seed:
            seed = min(shared or by_seed)
            shown = by_seed[seed]
            if shown.trained_by != shown.run_id:
                shown = read_run(store, shown.trained_by)
            for kind, (epoch, path) in last_frames(store, shown, folder).items():
                found.setdefault(kind, {})[arm] = (seed, epoch, path.read_bytes())
    return found
