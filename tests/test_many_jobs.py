"""However many jobs a study has, the store is asked the same number of times."""

import importlib
import sqlite3
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy
from mlflow import MlflowClient
from werkzeug.serving import make_server

from benchmarks.many_jobs import planned, repeated
from benchmarks.report_time import BY_EPOCH, Size, fill
from vae_lab.config.compose import compose_unchecked
from vae_lab.console.watch import Watched, standing
from vae_lab.report.report import gather
from vae_lab.tracking import database, records, server_history
from vae_lab.tracking.records import metric_history
from vae_lab.tracking.standing import standings, standings_in
from vae_lab.tracking.store import look_into, open_store

SIZES = (Size(arms=2, seeds=2, epochs=3, images=5), Size(arms=2, seeds=20, epochs=3, images=5))


@pytest.fixture
def statements(monkeypatch):
    """What sqlite is asked, by MLflow and by SQL of our own."""
    asked = []

    @contextmanager
    def reading(path, reading=database.reading):
        with reading(path) as connection:
            connection.set_trace_callback(asked.append)
            yield connection

    def executed(connection, cursor, statement, *_):
        asked.append(statement)

    monkeypatch.setattr(database, "reading", reading)
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", executed)
    yield asked
    sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", executed)


def filled(folder, size):
    """A store that holds the finished runs of a study of that size: its configuration, the study and its jobs."""
    cfg = compose_unchecked(
        f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.artifacts={folder}/artifacts", "latent_size=2"
    )
    jobs = planned(size)
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    return cfg, fill(store, folder, size, [job.identity.evaluation for job in jobs]), jobs


def how_often(asked, look):
    """What a look comes to, and how often a store was asked for it."""
    asked.clear()
    result = look()
    return result, len(asked)


def sqlite_is_asked(folder, size, statements):
    """How often sqlite is asked, by what for."""
    folder.mkdir()
    cfg, study, jobs = filled(folder, size)
    identities = [job.identity for job in jobs]
    others = [replace(one, data="other pixels") for one in identities]
    place = cfg.tracking.uri, cfg.tracking.experiment_name
    count = {}
    found, count["plan"] = how_often(statements, lambda: standings_in(*place, identities))
    assert all(one.done for one in found)
    found, count["plan of other jobs"] = how_often(statements, lambda: standings_in(*place, others))
    assert not any(one.done for one in found)
    parent, count["repeat"] = how_often(statements, lambda: repeated(cfg, jobs))
    seen, count["watch"] = how_often(statements, lambda: standing(parent.store, parent.run.run_id))
    assert seen.count()["done"] == len(jobs)
    report, count["report"] = how_often(statements, lambda: gather(parent.store, study))
    assert report.finished == len(jobs) == size.arms * size.seeds
    return count


def test_a_look_at_a_sweep_asks_sqlite_as_often_for_4_jobs_as_for_40(tmp_path, statements):
    few, many = (sqlite_is_asked(tmp_path / str(n), size, statements) for n, size in enumerate(SIZES))
    assert few == many
    assert all(few.values())


@pytest.fixture
def server(monkeypatch):
    """MLflow's own server in this process, of a sqlite store: path -> its address and the requests that it answered."""
    from mlflow.server import app, handlers

    with warnings.catch_warnings(action="ignore"):  # it imports what its own dependency has deprecated
        importlib.import_module("mlflow.server.fastapi_app")
    running = []

    def serve(folder):
        monkeypatch.setattr(handlers, "_tracking_store", None)
        handlers.initialize_backend_stores(f"sqlite:///{folder}/mlflow.db", None, f"{folder}/artifacts")
        requests = []

        def noted(environment, answer):
            requests.append(environment["PATH_INFO"])
            return app.wsgi_app(environment, answer)

        running.append(make_server("127.0.0.1", 0, noted, threaded=True))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}", requests

    yield serve
    for one in running:
        one.shutdown()


def server_is_asked(folder, size, server):
    """How often a server is asked, by what for."""
    folder.mkdir()
    cfg, study, jobs = filled(folder, size)
    sweep = repeated(cfg, jobs).run.run_id
    uri, requests = server(folder)
    store = open_store(uri, cfg.tracking.experiment_name)
    count = {}
    found, count["plan"] = how_often(requests, lambda: standings(store, [job.identity for job in jobs]))
    assert all(one.done for one in found)
    seen, count["watch"] = how_often(requests, lambda: standing(store, sweep))
    assert seen.count()["done"] == len(jobs)
    report, count["report"] = how_often(requests, lambda: gather(store, study))
    assert report.finished == len(jobs)
    return count


def test_a_look_at_a_sweep_asks_a_server_as_often_for_4_jobs_as_for_40(tmp_path, server):
    few, many = (server_is_asked(tmp_path / str(n), size, server) for n, size in enumerate(SIZES))
    assert few == many
    assert all(few.values())


def test_a_later_look_is_told_what_is_new_alone(tmp_path, server, monkeypatch):
    """Jobs ended a minute apart: of 40 that are done a later look is told the last eleven."""
    cfg, _, jobs = filled(tmp_path, SIZES[1])
    sweep = repeated(cfg, jobs).run.run_id
    uri, _ = server(tmp_path)
    watched = Watched(open_store(uri, cfg.tracking.experiment_name), sweep)
    told = set()

    def search(*given, search=records._searched):
        found = search(*given)
        told.update(run.run_id for run in found)
        return found

    monkeypatch.setattr(records, "_searched", search)

    def look():
        told.clear()
        count = watched.look().count()
        return {kind: number for kind, number in count.items() if number}, len(told)

    assert look() == ({"done": 40}, 40)
    assert look() == ({"done": 40}, 11)
    client = MlflowClient(uri)
    first, second, *_ = sorted(watched.newest.there, key=lambda run_id: watched.newest.there[run_id].started)
    client.update_run(first, status="RUNNING")
    assert look() == ({"done": 39, "running": 1}, 12)
    client.set_terminated(first, status="FAILED", end_time=1000)  # by a clock that is far behind
    assert look() == ({"done": 39, "failed": 1}, 11)
    client.set_tag(second, records.ADOPTED["vae_lab.evaluation"], "another")  # long after it ended
    assert watched.newest.of(["another"])["another"].run_id == second
    assert watched.look().jobs == Watched(watched.store, sweep).look().jobs


def test_rows_in_bulk_are_those_that_the_client_reads(tmp_path, server, monkeypatch):
    """Also where the server gives fewer rows at once than there are, or nothing in bulk; of rows twice the first."""
    size = Size(arms=2, seeds=3, epochs=4, images=5)
    cfg, _, _ = filled(tmp_path, size)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        ids = [row[0] for row in connection.execute("SELECT run_uuid FROM runs")]
        columns = "key, value, timestamp, run_uuid, step, is_nan"
        for row in ((BY_EPOCH[0], -1.0, 2**41, ids[0], 2, False), (BY_EPOCH[0], 0.0, 2**41, ids[1], 9, True)):
            connection.execute(f"INSERT INTO metrics ({columns}) VALUES (?,?,?,?,?,?)", row)
    uri, requests = server(tmp_path)
    store, client = open_store(uri), MlflowClient(uri)
    wanted = {}
    for run_id in ids:
        for point in sorted(client.get_metric_history(run_id, BY_EPOCH[0]), key=lambda point: point.timestamp):
            wanted.setdefault(run_id, {}).setdefault(point.step, point.value)
    assert len(wanted) == size.arms * size.seeds
    for rows_a_request in (server_history.ROWS_A_REQUEST, 9, 3):
        monkeypatch.setattr(server_history, "ROWS_A_REQUEST", rows_a_request)
        requests.clear()
        assert repr(sorted_history(metric_history(store, ids, BY_EPOCH[0]))) == repr(sorted_history(wanted))
        assert (len(requests) == 1) == (rows_a_request > size.epochs * len(ids))
    monkeypatch.setattr(server_history, "BULK", "/ajax-api/2.0/mlflow/none-such")
    assert repr(sorted_history(metric_history(store, ids, BY_EPOCH[0]))) == repr(sorted_history(wanted))
    local = look_into(cfg.tracking.uri, cfg.tracking.experiment_name)
    assert repr(sorted_history(metric_history(local, ids, BY_EPOCH[0]))) == repr(sorted_history(wanted))


def sorted_history(history):
    return {run_id: dict(sorted(history[run_id].items())) for run_id in sorted(history)}
