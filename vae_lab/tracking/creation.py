"""A run is made once, also where the server's answer is lost."""

import time
from collections.abc import Callable, Mapping

from vae_lab.tracking.heartbeat import HOST_TAG, PROCESS_TAG
from vae_lab.tracking.store import Store


def creation(store: Store, name: str, tags: Mapping[str, str]) -> Callable[[], str]:
    """A request that makes a run and returns its id; made again, it finds the run that it made before.

    Args:
      store: where.
      name, tags: of the run; its host and its process are among the tags.
    """
    began, asked = int(time.time() * 1000), False
    mine = " and ".join(f"tags.`{tag}` = '{tags[tag]}'" for tag in (HOST_TAG, PROCESS_TAG))

    def create() -> str:
        nonlocal asked
        if asked:
            there = store.at_once.search_runs([store.experiment_id], f"attributes.start_time = {began} and {mine}")
            if there:
                return there[0].info.run_id
        asked = True
        run = store.at_once.create_run(store.experiment_id, start_time=began, run_name=name, tags=tags)
        return run.info.run_id

    return create
