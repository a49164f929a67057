"""What evaluations have come to, asked again and again: a server tells after the first time only what is new."""

from collections.abc import Sequence

from vae_lab.tracking.records import EITHER, RunRecord, by_identity, changed_runs, newest_finished, newest_of
from vae_lab.tracking.store import Store, database_path

CLOCKS_APART = 60_000  # ms by which those of the machines that end runs may differ


class Newest:
    """Of the runs in a store. A sqlite file is read whole each time, which is soon done."""

    def __init__(self, store: Store):
        self.store = store
        self.there: dict[str, RunRecord] = {}  # a server's runs, by their ids, as they were told last

    def of(self, evaluations: Sequence[str]) -> dict[str, RunRecord | None]:
        """By identity the newest finished run, else the newest, as `newest_of` says."""
        if database_path(self.store.uri) is not None:
            return newest_of(self.store, evaluations)
        since = max((run.ended for run in self.there.values() if run.ended), default=CLOCKS_APART) - CLOCKS_APART
        for key in EITHER["vae_lab.evaluation"]:
            self.there |= {run.run_id: run for run in changed_runs(self.store, key, since)}
        found = by_identity(self.there.values(), "vae_lab.evaluation", evaluations)
        return {identity: newest_finished(runs) for identity, runs in found.items()}
