"""Times a report over many runs, from a sqlite store made for it.

python benchmarks/report_time.py
python benchmarks/report_time.py arms=20 seeds=50 epochs=100 images=1000
"""

import sqlite3
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from vae_lab.report.gather import gather
from vae_lab.report.study import Study, make_study
from vae_lab.report.write import files, write_files
from vae_lab.tracking.database import read_runs
from vae_lab.tracking.store import Store, database_path, open_store

BY_EPOCH = [f"running/{name}" for name in ("loss", "rate", "distortion", "elbo", "bound")]
BY_EPOCH += [f"val/{name}" for name in ("elbo", "rate", "distortion")]
PARAMS = 75  # as many as a run of the quickstart has
NAME = "report_time"


def fill(store: Store, folder: Path, arms: int, seeds: int, epochs: int, images: int) -> Study:
    """Writes arms x seeds finished runs into a store, each with its metrics by epoch and its values by image."""
    runs, tags, params, metrics, latest, jobs = [], [], [], [], [], []
    draw = np.random.default_rng(0)
    for arm in range(arms):
        for seed in range(seeds):
            run_id, name = uuid.uuid4().hex, f"arm{arm:02}"
            place = folder / "artifacts" / run_id
            (place / "evaluation").mkdir(parents=True)
            elbo = draw.normal(-90 + 0.1 * arm, 10, images)
            np.savez(place / "evaluation" / "test.npz", elbo=elbo)
            now = int(time.time() * 1000)
            jobs.append((name, [f"arm={arm}", f"seed={seed}"]))
            runs.append((run_id, f"{name}-s{seed}", "FINISHED", now, now + 1000, "active", place.as_uri(), 1))
            overrides = f'["arm={arm}", "seed={seed}"]'
            own = {"vae_lab.experiment": NAME, "vae_lab.arm": name, "vae_lab.overrides": overrides}
            tags += [(key, text, run_id) for key, text in own.items()]
            tags += [(f"tag{number}", "text", run_id) for number in range(25)]
            params += [("seed", str(seed), run_id), ("arm", str(arm), run_id)]
            params += [(f"part.setting{number}", "value", run_id) for number in range(PARAMS)]
            for key in BY_EPOCH:
                curve = -90 - 100 / np.arange(1, epochs + 1) + draw.normal(0, 0.3, epochs)
                metrics += [(key, curve[epoch], now + epoch, run_id, epoch + 1, False) for epoch in range(epochs)]
                latest.append((key, curve[-1], now, epochs, False, run_id))
            final = {"elbo": elbo.mean(), "rate": 25 + draw.normal(), "distortion": 65 + draw.normal()}
            latest += [(f"test/{key}", value, now, epochs, False, run_id) for key, value in final.items()]
    path = database_path(store.uri)
    with sqlite3.connect(path) as database:
        columns = "run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"
        database.executemany(f"INSERT INTO runs ({columns}) VALUES (?,?,?,?,?,?,?,?)", runs)
        database.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?,?,?)", tags)
        database.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?,?,?)", params)
        columns = "key, value, timestamp, run_uuid, step, is_nan"
        database.executemany(f"INSERT INTO metrics ({columns}) VALUES (?,?,?,?,?,?)", metrics)
        columns = "key, value, timestamp, step, is_nan, run_uuid"
        database.executemany(f"INSERT INTO latest_metrics ({columns}) VALUES (?,?,?,?,?,?)", latest)
    return make_study(NAME, {"question": "How long does a report take?"}, jobs, "none")


def report_time(arms: int = 20, seeds: int = 50, epochs: int = 100, images: int = 1000) -> dict[str, float]:
    """Seconds that a report takes over arms x seeds runs, and how many runs and bytes it is of."""
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room)
        store = open_store(f"sqlite:///{folder}/mlflow.db", "vae_lab", str(folder / "artifacts"))
        study = fill(store, folder, arms, seeds, epochs, images)
        began = time.perf_counter()
        found = read_runs(folder / "mlflow.db", "vae_lab.experiment", NAME)
        read = time.perf_counter()
        page = write_files(files(gather(store, study)), folder / "report")
        ended = time.perf_counter()
        return {
            "runs": len(found),
            "values by epoch": len(found) * len(BY_EPOCH) * epochs,
            "seconds to read the runs": round(read - began, 2),
            "seconds for the whole report": round(ended - read, 2),
            "megabytes of the page": round(page.stat().st_size / 1e6, 2),
        }


if __name__ == "__main__":
    sizes = {key: int(text) for key, _, text in (word.partition("=") for word in sys.argv[1:])}
    for what, figure in report_time(**sizes).items():
        print(f"{what}: {figure}")
