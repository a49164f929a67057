"""Epochs of training: this harness beside its peers, in interleaved turns."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from statistics import median

from benchmarks import matmul
from benchmarks.specification import Means, Model, Spec, specification, training_pixels
from benchmarks.workers import BrokenWorker, Turn, Worker

SECONDS_OF_MATMUL = 2.0


@dataclass(frozen=True)
class Peer:
    """Another way to train the same model."""

    name: str
    module: str
    package: str


HARNESS = Peer("vae_lab", "benchmarks.peers.harness", "tensorflow")
PEERS = (
    HARNESS,
    Peer("vae_lab, as a run does it", "benchmarks.peers.run", "tensorflow"),
    Peer("JAX, an epoch in one scan", "benchmarks.peers.jax_scan", "jax"),
    Peer("Keras `fit`, 50 steps an execution", "benchmarks.peers.keras_fit", "keras"),
    Peer("PyTorch eager, data in memory", "benchmarks.peers.pytorch", "torch"),
    Peer("TensorFlow tutorial's loop", "benchmarks.peers.tensorflow_loop", "tensorflow"),
)


@dataclass
class Comparison:
    """What the turns of one model gave. A peer that is not installed has no turns."""

    name: str
    spec: Spec
    flops: int  # of a pass, which is an epoch where all images are taken
    turns: dict[Peer, list[Turn]] = field(default_factory=dict)
    rates: dict[matmul.Shape, list[float]] = field(default_factory=dict)  # FLOP a second

    def seconds(self, peer: Peer) -> list[float]:
        """Of a pass, by round."""
        return [turn.seconds / self.spec.model.epochs for turn in self.turns[peer]]

    def ratios(self, peer: Peer) -> list[float]:
        """The peer's time over the harness's in the same round."""
        return [theirs / ours for theirs, ours in zip(self.seconds(peer), self.seconds(HARNESS), strict=True)]

    def limit(self) -> float:
        """FLOP a second of the best product measured beside it."""
        return max(median(rates) for rates in self.rates.values())


def compare(name: str, model: Model, rounds: int, seconds_of_matmul: float = SECONDS_OF_MATMUL) -> Comparison:
    """Trains a model by every peer that is installed: a round is one turn of each, another first each time.

    Compiling is left out: a single epoch and a whole turn of each come before the first round.

    Raises:
      BrokenWorker: when a peer fails, or does not learn.
    """
    spec = specification(model)
    pixels = training_pixels(spec)
    comparison = Comparison(name, spec, spec.epoch_flops(len(pixels)))
    with ExitStack() as stack:
        product = stack.enter_context(Worker("benchmarks.matmul"))
        workers = {
            peer: stack.enter_context(Worker(peer.module, spec, pixels)) for peer in PEERS if find_spec(peer.package)
        }
        product.turn(0.1)
        first = {peer: worker.turn(1).result for peer, worker in workers.items()}
        for worker in workers.values():
            worker.turn(model.epochs)
        order = list(workers)
        for _ in range(rounds):
            for shape, rate in product.turn(seconds_of_matmul).result.items():
                comparison.rates.setdefault(shape, []).append(rate)
            for peer in order:
                comparison.turns.setdefault(peer, []).append(workers[peer].turn(model.epochs))
            order = [*order[1:], order[0]]
    for peer, turns in comparison.turns.items():
        require_learning(peer, first[peer], turns[-1].result)
    return comparison


def require_learning(peer: Peer, first: Means, last: Means) -> None:
    """Raises BrokenWorker unless the last epoch's ELBO is above the first one's."""
    if not last.elbo > first.elbo:
        raise BrokenWorker(f"{peer.name}: the ELBO was {first.elbo:.2f} in epoch 1 and is {last.elbo:.2f} at the end")


def table(comparison: Comparison) -> str:
    """The comparison as a Markdown table."""
    lines = [
        f"| | {passes(comparison)} | of vae_lab's time | lowest to highest | GFLOP/s | of the limit | cores busy "
        "| last ELBO |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for peer in PEERS:
        if peer not in comparison.turns:
            lines.append(f"| {peer.name} | not installed | | | | | | |")
            continue
        turns, ratios = comparison.turns[peer], comparison.ratios(peer)
        seconds = median(comparison.seconds(peer))
        rate = comparison.flops / seconds
        cells = (
            duration(seconds),
            f"{median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{rate / 1e9:.1f}",
            f"{rate / comparison.limit():.0%}",
            f"{median(turn.cpu_seconds / turn.seconds for turn in turns):.2f}",
            f"{turns[-1].result.elbo:.2f}",
        )
        lines.append(f"| {peer.name} | {' | '.join(cells)} |")
    rates = "; ".join(
        f"{shape.rows} x {shape.inner} by {shape.inner} x {shape.columns}: {median(rates) / 1e9:.0f} GFLOP/s"
        for shape, rates in comparison.rates.items()
    )
    rounds = len(comparison.turns[HARNESS])
    what = f"{comparison.flops / 1e9:.3g} GFLOP a pass, {rounds} rounds of {comparison.spec.model.epochs} passes"
    return "\n".join([*lines, "", f"{what}. Products, float32: {rates}."])


def passes(comparison: Comparison) -> str:
    """What is timed: an epoch, or a pass over fewer images."""
    images = comparison.spec.model.images
    return "an epoch" if images is None else f"{images:,} images"


def duration(seconds: float) -> str:
    """Seconds as text, in ms below one."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
