"""The importance-weighted log-likelihood: its speed beside the machine's products, and its memory."""

import threading
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

from benchmarks import matmul
from benchmarks.specification import MODELS, Model, specification
from benchmarks.workers import Worker

SAMPLES = (500, 5000)  # K
ROUNDS = 5
SECONDS = 4.0  # of a round
SECONDS_OF_MATMUL = 1.0
SECONDS_BETWEEN_LOOKS = 0.005


@dataclass(frozen=True)
class Evaluated:
    """What one evaluation took."""

    images: int  # of a round
    seconds: list[float]  # of each round
    limits: list[float]  # FLOP a second of the best product, around each round
    mean: float  # nats per image
    peak_bytes: int | None  # beyond the built model and its data, compiling included; None where it cannot be seen


def build(model: Model, samples: int):
    """Returns a function of the seconds to fill a round with, which evaluates as many test images as that allows."""
    import numpy as np

    from vae_lab.config import compose, parts
    from vae_lab.config.settings import settings_of
    from vae_lab.data.dataset import load
    from vae_lab.data.images import run_images
    from vae_lab.run.program import new_program

    settings = settings_of(compose.compose(*model.overrides))
    dataset = load(settings.options["data"])
    binarization = parts.make(settings.options["binarization"])
    # Evaluation needs no training rows; drawing all of them would leave freed memory behind, and hide what comes.
    pixels = run_images(replace(dataset, train=dataset.train[:1000], val=dataset.val[:0]), binarization)
    log_likelihood = new_program(settings, pixels).log_likelihood
    images = pixels.fixed["test"]
    first = images.rows(slice(100))
    product = matmul.build()

    def limit(seconds):
        return max(product(min(seconds, SECONDS_OF_MATMUL)).values())

    def evaluate(seconds):
        with Memory() as memory:
            log_likelihood(first, samples, 0)  # compiles
            began = time.perf_counter()
            log_likelihood(first, samples, 0)
            # In pairs, as the blocks of a whole test set are evaluated: the odd one out would have the machine alone.
            pairs = max(1, int(seconds / (time.perf_counter() - began)) // 2)
            chosen = images.rows(slice(200 * pairs))
            log_likelihood(chosen, samples, 0)
        limits, taken = [limit(seconds)], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            values = log_likelihood(chosen, samples, 0)
            taken.append(time.perf_counter() - began)
            limits.append(limit(seconds))
        if not np.isfinite(values).all():
            raise ArithmeticError("a log-likelihood is not finite")
        around = [mean(pair) for pair in pairwise(limits)]
        return Evaluated(len(chosen), taken, around, float(values.mean()), memory.peak())

    return evaluate


class Memory:
    """Looks at the process's resident memory every few milliseconds inside its `with` block."""

    def __enter__(self):
        self._seen = [self._resident()]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def peak(self) -> int | None:
        """The most bytes beyond those at the beginning."""
        return None if self._seen[0] is None else max(self._seen) - self._seen[0]

    def _watch(self):
        while self._seen[0] is not None and not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self._seen.append(self._resident())

    @staticmethod
    def _resident():
        try:
            fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        except OSError:  # no Linux
            return None
        return int(fields["VmRSS"].split()[0]) * 1024


def report(model: Model = MODELS["MNIST mlp"], samples: tuple[int, ...] = SAMPLES, seconds: float = SECONDS) -> str:
    """Measures one K after the other, each in a process of its own, as a Markdown table."""
    decoding = sum(layer.flops() for layer in specification(model).decoder)
    lines = [
        "| K | images | time | decodings a second | GFLOP/s | of the limit | lowest to highest "
        "| memory beyond the model |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for k in samples:
        with Worker("benchmarks.evaluation", model, k) as worker:
            done: Evaluated = worker.turn(seconds).result
        rates = [k * done.images / taken for taken in done.seconds]
        shares = sorted(rate * decoding / limit for rate, limit in zip(rates, done.limits, strict=True))
        cells = (
            f"{k:,}",
            f"{done.images:,}",
            f"{median(done.seconds):.1f} s",
            f"{median(rates):,.0f}",
            f"{median(rates) * decoding / 1e9:.1f}",
            f"{median(shares):.0%} of {median(done.limits) / 1e9:.0f}",
            f"{shares[0]:.0%} to {shares[-1]:.0%}",
            "not seen" if done.peak_bytes is None else f"{done.peak_bytes / 2**20:.0f} MiB",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{decoding / 1e6:.2g} MFLOP a decoding."])
