"""One run in MLflow: what is written twice is there once, and what cannot be written waits."""

import io
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vae_lab.errors import Pruned, UsageError
from vae_lab.tracking import frame_names
from vae_lab.tracking.away import SECONDS_BETWEEN_TRIES, ServerAway, is_away, patiently, refusal
from vae_lab.tracking.creation import creation
from vae_lab.tracking.heartbeat import Heartbeat, beat
from vae_lab.tracking.kept import KeptFiles
from vae_lab.tracking.metric_names import require_metric_name
from vae_lab.tracking.store import Store, require_database

log = logging.getLogger("vae_lab")

PARENT_TAG = "mlflow.parentRunId"
ERROR_TAG = "vae_lab.error"
PARAMS_A_CALL, METRICS_A_CALL = 100, 1000
PARAM_LENGTH = 6000  # MLflow's limit; longer values are whole in config.yaml

# A metric's value at a step, as JSON can hold it: key, value, milliseconds since 1970, step.
MetricRow = list[Any]


class TrackedRun:
    """A run that is RUNNING inside its `with` block and has a true status after it.

    Metrics wait in memory until `flush`, files in a folder until they are sent. A row keeps the time at which it was
    taken, so that sending it again adds nothing; a picture's name follows from its key and step. While a tracking
    server is away everything waits and training goes on; the end waits for it. An exception makes the run FAILED, with
    the traceback as artifact error.txt; an interrupt or a search that prunes it makes it KILLED.

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
        self.client = store.at_once
        tags = {**tags, **beat()}
        if parent is not None:
            tags[PARENT_TAG] = parent
        self.waiting: list[MetricRow] = []
        self.tags: dict[str, str] = {}  # that were set since it began, delivered or not
        self._history: dict[str, dict[int, float]] = {}
        self._undone: list[Callable[[], None]] = []
        self._away = False
        self._params: set[str] = set()  # that the run has: places may be others when it goes on, and it keeps its own
        self._kept = KeptFiles()
        self._logged: set[str] = set()  # metrics that the run had when it was begun
        self._there: set[tuple[str, int]] = set()  # rows, by key and step, that are not written again
        if run_id is None:
            self.run_id: str = patiently(self.client, creation(store, name, tags))
        else:
            self.run_id = run_id
            patiently(self.client, lambda: self._go_on(name, tags))
        self._heartbeat = Heartbeat(self.client, self.run_id)

    def _go_on(self, name: str, tags: Mapping[str, str]) -> None:
        self.client.update_run(self.run_id, status="RUNNING", name=name)
        before = self.client.get_run(self.run_id).data
        self._params |= set(before.params)
        self._logged |= set(before.metrics)
        if ERROR_TAG in before.tags:
            self.client.delete_tag(self.run_id, ERROR_TAG)
        self._write_tags(tags)

    def keep_in(self, folder: Path) -> None:
        """Keeps files in a folder until they are sent, and frames until the run is over; sends what is there already.

        Files that were logged before stay where they are.
        """
        self._kept = KeptFiles(folder)
        for artifact in self._kept.waiting():
            self._do(partial(self._send, self._kept, artifact))

    def __enter__(self) -> "TrackedRun":
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish("FINISHED")
            return
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        try:
            try:
                self.tag({ERROR_TAG: f"{type(error).__name__}: {error}".strip()[:500]})
                if not isinstance(error, Pruned):
                    self.text("".join(traceback.format_exception(error)), "error.txt")
            finally:
                self.finish(status)
        except Exception as another:  # of which the run has ended already: what was first is what is told
            log.warning("run %s is %s, which could not be written: %s", self.run_id, status, another)

    def finish(self, status: str) -> None:
        """Writes what waits and closes the run as FINISHED, FAILED or KILLED.

        Raises:
          ServerAway: when the tracking server has been away for too long. The run is RUNNING, and nobody works on it.
          Exception: what the store refuses with; the run is then FAILED, if it takes that.
        """
        self._undone += [self._write_waiting, lambda: self.client.set_terminated(self.run_id, status=status)]
        try:
            require_database(self.store)
            patiently(self.client, self._write_all, None if status == "FINISHED" else SECONDS_BETWEEN_TRIES)
        except ServerAway:
            raise
        except Exception:
            self._end_refused()
            raise
        finally:
            self._heartbeat.stop()

    def _end_refused(self) -> None:
        """Leaves no run RUNNING that has ended because the store refused something of it."""
        try:
            self.client.set_terminated(self.run_id, status="FAILED")
        except Exception as error:  # refused as well: the doctor closes it
            log.warning("run %s could not be closed: %s", self.run_id, error)

    @property
    def delivered(self) -> bool:
        """Whether all but the metrics, which wait for `flush`, is written."""
        return not self._undone

    def flush(self) -> bool:
        """Writes what waits; returns whether nothing waits any more."""
        self._away = False
        require_database(self.store)
        self._undone.append(self._write_waiting)
        return self._write()

    def _do(self, action: Callable[[], None]) -> None:
        """Writes now, or after what waits already."""
        self._undone.append(action)
        if not self._away:
            self._write()

    def _write(self) -> bool:
        """Writes what waits unless the server is away, which is not waited for."""
        try:
            self._write_all()
        except Exception as error:
            if not is_away(self.store.uri, error):
                if line := refusal(self.store.uri, error):
                    raise UsageError(line) from error
                raise
            log.warning("tracking.uri=%s does not answer; results wait here until it does", self.store.uri)
            self._away = True
        return not self._undone

    def _write_all(self) -> None:
        while self._undone:
            try:
                self._undone[0]()
            except Exception as error:
                if not is_away(self.store.uri, error):
                    del self._undone[0]  # it would be refused again
                raise
            del self._undone[0]

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
        self.tags |= values
        self._do(lambda: self._write_tags(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Takes metrics of a step; they are written by the next `flush`.

        Raises:
          UsageError: for a name that MLflow does not take.
        """
        for key in values:
            require_metric_name(key)
        now = int(time.time() * 1000)
        self.take([[key, float(value), now, step] for key, value in values.items()])

    def take(self, rows: list[MetricRow]) -> None:
        """Takes rows as they are, such as those that waited when the run was cut off."""
        self.waiting += [row for row in rows if (row[0], row[3]) not in self._there]
        self.remember(rows)

    def pass_over_rows_there(self) -> None:
        """Has a run that begins anew, its checkpoints lost, write no row that the store has of it already."""
        for key in self._logged:
            points = patiently(self.client, partial(self.client.get_metric_history, self.run_id, key))
            self._there |= {(key, point.step) for point in points}

    def remember(self, rows: list[MetricRow]) -> None:
        """Takes rows that are written already into the run's own history."""
        for key, value, _, step in rows:
            self._history.setdefault(key, {})[step] = value

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
        if "mlflow.loggedImages" not in self.tags:
            self.tag({"mlflow.loggedImages": "True"})

    def frames(self, key: str) -> list[tuple[int, np.ndarray]]:
        """The frames of `key` that the run has logged, from its own folder: step and uint8 picture, by step."""
        from PIL import Image

        named = [(frame_names.parse(path.name), path) for path in self._kept.frames()]
        found = {frame.step: path for frame, path in named if frame and frame.key == key}
        return [(step, np.asarray(Image.open(found[step]).convert("RGB"))) for step in sorted(found)]

    def history(self, key: str) -> list[tuple[int, float]]:
        """Step and value of a metric that the run has logged, by step."""
        return sorted(self._history.get(key, {}).items())

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
        self._kept.write(content, artifact)
        self._do(partial(self._send, self._kept, artifact))

    def _send(self, kept: KeptFiles, artifact: str) -> None:
        if not kept.path(artifact).exists():  # written again while it waited, and sent as it is now
            return
        parent = str(Path(artifact).parent)
        self.client.log_artifact(self.run_id, str(kept.path(artifact)), None if parent == "." else parent)
        kept.sent(artifact)
