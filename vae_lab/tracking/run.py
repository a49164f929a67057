"""One run in MLflow, written in batches."""

import re
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vae_lab.tracking.store import Store

# Where MLflow puts logged frames, and how it names them.
FRAMES = "images"
FRAME = re.compile(r"(?P<key>.+)[%+]step[%+](?P<step>\d+)[%+]timestamp[%+](?P<timestamp>\d+)[%+].*\.png")
PARENT_TAG = "mlflow.parentRunId"
SECONDS_BETWEEN_WRITES = 5.0
PARAMS_A_CALL, METRICS_A_CALL = 100, 1000
PARAM_LENGTH = 6000  # MLflow's limit; longer values are whole in config.yaml


class TrackedRun:
    """A run that is RUNNING inside its `with` block and has a true status after it.

    Metrics wait in memory and are written together at most every few seconds. An exception makes the run FAILED, with
    the traceback as artifact error.txt; an interrupt makes it KILLED.
    """

    def __init__(self, store: Store, name: str, tags: Mapping[str, str], parent: str | None = None):
        self.store = store
        self.client = store.client
        if parent is not None:
            tags = {**tags, PARENT_TAG: parent}
        run = self.client.create_run(store.experiment_id, run_name=name, tags=dict(tags))
        self.run_id: str = run.info.run_id
        self._waiting: list[Any] = []
        self._written = time.monotonic()

    def __enter__(self) -> "TrackedRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "FINISHED"
        if error is not None:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            self.tag({"vae_lab.error": f"{type(error).__name__}: {error}".strip()[:500]})
            self.text("".join(traceback.format_exception(error)), "error.txt")
        self.finish(status)

    def finish(self, status: str) -> None:
        """Writes what waits and closes the run as FINISHED, FAILED or KILLED."""
        self.flush()
        self.client.set_terminated(self.run_id, status=status)

    def params(self, values: Mapping[str, Any]) -> None:
        """Logs parameters, each as its text."""
        from mlflow.entities import Param

        params = [Param(key, str(value)[:PARAM_LENGTH]) for key, value in values.items()]
        for start in range(0, len(params), PARAMS_A_CALL):
            self.client.log_batch(self.run_id, params=params[start : start + PARAMS_A_CALL])

    def tag(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in values.items()])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Takes metrics of a step; they are written with the next batch."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), now, step) for key, value in values.items()]
        if time.monotonic() - self._written > SECONDS_BETWEEN_WRITES:
            self.flush()

    def flush(self) -> None:
        """Writes the metrics that wait."""
        while self._waiting:
            self.client.log_batch(self.run_id, metrics=self._waiting[:METRICS_A_CALL])
            del self._waiting[:METRICS_A_CALL]
        self._written = time.monotonic()

    def dataset(self, name: str, digest: str, source: str) -> None:
        """Logs the data set as the run's input, by its digest."""
        from mlflow.entities import Dataset, DatasetInput

        entity = Dataset(name=name, digest=digest[:36], source_type="local", source=source)
        self.client.log_inputs(self.run_id, datasets=[DatasetInput(entity)])

    def image(self, key: str, picture: np.ndarray, step: int) -> None:
        """Logs a uint8 picture [height,width,3] as a frame of `key`."""
        self.client.log_image(self.run_id, picture, key=key, step=step)

    def frames(self, key: str) -> list[tuple[int, np.ndarray]]:
        """Reads the frames of `key` back: step and uint8 picture, by step, of each step the newest."""
        from PIL import Image

        if not self.client.list_artifacts(self.run_id, FRAMES):
            return []
        with tempfile.TemporaryDirectory() as folder:
            newest: dict[int, tuple[int, Path]] = {}
            for path in Path(self.client.download_artifacts(self.run_id, FRAMES, folder)).iterdir():
                if (found := FRAME.fullmatch(path.name)) and found["key"] == key:
                    step, timestamp = int(found["step"]), int(found["timestamp"])
                    newest[step] = max(newest.get(step, (-1, path)), (timestamp, path))
            return [(step, np.asarray(Image.open(newest[step][1]).convert("RGB"))) for step in sorted(newest)]

    def history(self, key: str) -> list[tuple[int, float]]:
        """Reads a metric back: step and value, by step, of each step the newest."""
        self.flush()
        points = sorted(self.client.get_metric_history(self.run_id, key), key=lambda point: point.timestamp)
        return sorted({point.step: point.value for point in points}.items())

    def content(self, content: bytes, artifact: str) -> None:
        """Logs a file by its content."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(artifact).name
            path.write_bytes(content)
            self.file(path, str(Path(artifact).parent))

    def text(self, content: str, artifact: str) -> None:
        """Logs a text as an artifact."""
        self.client.log_text(self.run_id, content, artifact)

    def arrays(self, values: Mapping[str, np.ndarray], artifact: str) -> None:
        """Logs arrays as one compressed npz."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(artifact).name
            np.savez_compressed(path, allow_pickle=False, **values)
            self.file(path, str(Path(artifact).parent))

    def file(self, path: Path, folder: str) -> None:
        """Logs a file into an artifact folder."""
        self.client.log_artifact(self.run_id, str(path), folder)
