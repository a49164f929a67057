"""One run in MLflow: what is written twice is there once, and what cannot be written waits."""

import io
import logging
import os
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import psutil

from vae_lab.errors import Pruned
from vae_lab.tracking import frame_names
from vae_lab.tracking.store import SECONDS_TO_WAIT, Store, is_away, require_database

log = logging.getLogger("vae_lab")

PARENT_TAG = "mlflow.parentRunId"
ERROR_TAG = "vae_lab.error"
HEARTBEAT_TAG, HOST_TAG, PROCESS_TAG = "vae_lab.heartbeat", "vae_lab.host", "vae_lab.process"
PARAMS_A_CALL, METRICS_A_CALL = 100, 1000
PARAM_LENGTH = 6000  # MLflow's limit; longer values are whole in config.yaml
SECONDS_BETWEEN_TRIES = 5.0
SECONDS_TO_BE_DEAD = 3600.0  # an evaluation, in which there is no beat, takes less

# A metric's value at a step, as JSON can hold it: key, value, milliseconds since 1970, step.
MetricRow = list[Any]


class TrackedRun:
    """A run that is RUNNING inside its `with` block and has a true status after it.

    Metrics wait in memory until `flush`. A row keeps the time at which it was taken, so that sending it again adds
    nothing; a picture's name follows from its key and step. While a tracking server is away everything waits and
    training goes on. An exception makes the run FAILED, with the traceback as artifact error.txt; an interrupt or a
    search that prunes it makes it KILLED.

    Args:
      store: where runs are kept.
      name: the run's name in MLflow.
      tags: tags of a new run.
      parent: id of the sweep's run.
      run_id: an unfinished run to go on with, instead of a new one.
    """

    def __init__(
        self, store: Store, name: str, tags: Mapping[str, str], parent: str | None = None, run_id: str | None = None
    ):
        self.store = store
        self.client = store.client
        tags = {**tags, **beat()}
        if parent is not None:
            tags[PARENT_TAG] = parent
        self.waiting: list[MetricRow] = []
        self._undone: list[Callable[[], None]] = []
        self._away = False
        self._has_images = False
        self._params: set[str] = set()  # that the run has: places may be others when it goes on, and it keeps its own
        if run_id is None:
            self.run_id: str = self.client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id
        else:
            self.run_id = run_id
            self.client.update_run(run_id, status="RUNNING", name=name)
            before = self.client.get_run(run_id).data
            self._params |= set(before.params)
            if ERROR_TAG in before.tags:
                self.client.delete_tag(run_id, ERROR_TAG)
            self.tag(tags)

    def __enter__(self) -> "TrackedRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "FINISHED"
        if error is not None:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            self.tag({ERROR_TAG: f"{type(error).__name__}: {error}".strip()[:500]})
            if not isinstance(error, Pruned):
                self.text("".join(traceback.format_exception(error)), "error.txt")
        self.finish(status)

    def finish(self, status: str) -> None:
        """Writes what waits and closes the run as FINISHED, FAILED or KILLED.

        Raises:
          ConnectionError: when the tracking server has been away for too long.
        """
        self._undone += [self._write_waiting, lambda: self.client.set_terminated(self.run_id, status=status)]
        given_up = time.monotonic() + (SECONDS_TO_WAIT if status == "FINISHED" else SECONDS_BETWEEN_TRIES)
        while not self.flush(ending=True):
            if time.monotonic() > given_up:
                raise ConnectionError(
                    f"tracking.uri={self.store.uri} has been away too long; repeat the command when it is back, and "
                    "what is not yet there will be sent"
                )
            time.sleep(SECONDS_BETWEEN_TRIES)

    @property
    def delivered(self) -> bool:
        """Whether all but the metrics, which wait for `flush`, is written."""
        return not self._undone

    def flush(self, ending: bool = False) -> bool:
        """Writes what waits; returns whether nothing waits any more."""
        self._away = False
        require_database(self.store)
        if not ending:
            self._undone += [lambda: self._write_tags(beat()), self._write_waiting]
        return self._write()

    def _do(self, action: Callable[[], None]) -> None:
        """Writes now, or after what waits already."""
        self._undone.append(action)
        if not self._away:
            self._write()

    def _write(self) -> bool:
        while self._undone:
            action = self._undone.pop(0)
            try:
                action()
            except Exception as error:
                if not is_away(self.store, error):
                    raise
                log.warning("tracking.uri=%s does not answer; results wait here until it does", self.store.uri)
                self._undone.insert(0, action)
                self._away = True
                return False
        return True

    def _write_waiting(self) -> None:
        while self.waiting:
            self._write_rows(self.waiting[:METRICS_A_CALL])
            del self.waiting[:METRICS_A_CALL]

    def _write_rows(self, rows: list[MetricRow]) -> None:
        from mlflow.entities import Metric

        self.client.log_batch(self.run_id, metrics=[Metric(*row) for row in rows])

    def _write_tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in values.items()])

    def params(self, values: Mapping[str, Any]) -> None:
        """Logs parameters, each as its text; of a run that goes on those that it has not."""
        from mlflow.entities import Param

        params = [Param(key, str(value)[:PARAM_LENGTH]) for key, value in values.items() if key not in self._params]
        for start in range(0, len(params), PARAMS_A_CALL):
            part = params[start : start + PARAMS_A_CALL]
            self._do(partial(self.client.log_batch, self.run_id, params=part))

    def tag(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        self._do(lambda: self._write_tags(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Takes metrics of a step; they are written by the next `flush`."""
        now = int(time.time() * 1000)
        self.waiting += [[key, float(value), now, step] for key, value in values.items()]

    def dataset(self, name: str, digest: str, source: str) -> None:
        """Logs the data set as the run's input, by its digest."""
        from mlflow.entities import Dataset, DatasetInput

        entity = Dataset(name=name, digest=digest[:36], source_type="local", source=source)
        self._do(lambda: self.client.log_inputs(self.run_id, datasets=[DatasetInput(entity)]))

    def image(self, key: str, picture: np.ndarray, step: int) -> None:
        """Logs a uint8 picture [height,width,3] as the frame of `key` at a step, where MLflow's UI looks for frames."""
        from PIL import Image

        frame = Image.fromarray(picture)
        name = f"{frame_names.FOLDER}/{frame_names.stem(self.run_id, frame_names.Frame(key, step))}"
        # WebP's quickest method takes a quarter of its usual time, which a sweep of small jobs would notice.
        for ending, kind, options in ((".png", "PNG", {}), ("+compressed.webp", "WEBP", {"method": 0})):
            encoded = io.BytesIO()
            frame.save(encoded, kind, **options)
            self._put(encoded.getvalue(), name + ending)
        if not self._has_images:
            self.tag({"mlflow.loggedImages": "True"})
            self._has_images = True

    def frames(self, key: str) -> list[tuple[int, np.ndarray]]:
        """Reads the frames of `key` back: step and uint8 picture, by step; none while the server is away."""
        from PIL import Image

        if self._away or not self.client.list_artifacts(self.run_id, frame_names.FOLDER):
            return []
        with tempfile.TemporaryDirectory() as folder:
            there = Path(self.client.download_artifacts(self.run_id, frame_names.FOLDER, folder))
            named = [(frame_names.parse(path.name), path) for path in there.iterdir()]
            found = {frame.step: path for frame, path in named if frame and frame.key == key}
            return [(step, np.asarray(Image.open(found[step]).convert("RGB"))) for step in sorted(found)]

    def history(self, key: str) -> list[tuple[int, float]]:
        """Step and value of a metric, by step: what is in the store, and what waits."""
        there = [] if self._away else self.client.get_metric_history(self.run_id, key)
        points = {point.step: point.value for point in there}
        return sorted((points | {step: value for name, value, _, step in self.waiting if name == key}).items())

    def content(self, content: bytes, artifact: str) -> None:
        """Logs a file by its content."""
        self._put(content, artifact)

    def text(self, content: str, artifact: str) -> None:
        """Logs a text as an artifact."""
        self._put(content.encode(), artifact)

    def arrays(self, values: Mapping[str, np.ndarray], artifact: str) -> None:
        """Logs arrays as one compressed npz."""
        encoded = io.BytesIO()
        np.savez_compressed(encoded, allow_pickle=False, **values)
        self._put(encoded.getvalue(), artifact)

    def file(self, path: Path, folder: str) -> None:
        """Logs a file into an artifact folder."""
        self._put(path.read_bytes(), f"{folder}/{path.name}")

    def _put(self, content: bytes, artifact: str) -> None:
        def write() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / Path(artifact).name
                path.write_bytes(content)
                parent = str(Path(artifact).parent)
                self.client.log_artifact(self.run_id, str(path), None if parent == "." else parent)

        self._do(write)


def is_worked_on(tags: Mapping[str, str]) -> bool:
    """Whether another machine works on a RUNNING run, by its heartbeat. On this machine a lock tells, and at once."""
    fresh = time.time() - float(tags.get(HEARTBEAT_TAG, 0)) < SECONDS_TO_BE_DEAD
    return fresh and tags.get(HOST_TAG) != socket.gethostname()


def beat() -> dict[str, str]:
    """Tags that say who works on a run, and that they did so just now."""
    return {HEARTBEAT_TAG: str(int(time.time())), HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid())}


def is_alive_here(tags: Mapping[str, str]) -> bool | None:
    """Whether the process that works on a run is alive, if it is one of this machine; else None."""
    if tags.get(HOST_TAG) != socket.gethostname():
        return None
    return psutil.pid_exists(int(tags.get(PROCESS_TAG, 0)))
