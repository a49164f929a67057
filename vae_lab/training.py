"""The compiled training loop. It knows no tracker and no files."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vae_lab.protocols import Terms
from vae_lab.randomness import seed_for

# A call into the compiled loop should last about this long: long enough to cost nothing, short enough to watch.
SECONDS_PER_CALL = 2.0


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or NaN; the message says at which step."""


class Position(NamedTuple):
    """From where training goes on: an epoch, steps of it that are done, and the sums of their terms."""

    epoch: int
    done: int
    sums: np.ndarray  # float64, one entry a term


START = Position(0, 0, np.zeros(len(Terms._fields)))


@dataclass(frozen=True)
class EpochResult:
    """Where training stands after a group of steps."""

    epoch: float  # epochs trained so far; whole at an epoch's end
    step: int  # optimizer steps taken so far
    complete: bool  # whether an epoch has just ended
    running: dict[str, float]  # mean of each term over the epoch so far, while the weights change; nats
    seconds: float  # this epoch's time since it began or went on
    images: int  # images in that time
    position: Position  # where to go on after this


def waiting_for_each_other(gradients):
    """The same gradients, none of them there before all are.

    XLA would else update a kernel while a gradient behind it still needs the old one, and copy every kernel at every
    step for that.
    """
    there = [gradient for gradient in gradients if gradient is not None]
    # 0 whatever the numbers are, infinite ones too; only a NaN is passed on.
    none = tf.add_n([tf.reduce_sum(tf.minimum(tf.abs(tf.reshape(gradient, [-1])[:1]), 0.0)) for gradient in there])
    return [None if gradient is None else gradient + none for gradient in gradients]


class Trainer:
    """One compiled loop over minibatches: shuffling, gathering, binarization, gradient and update, without Python.

    A step depends on (weights, optimizer state, pixels, run seed, step) only, so one trainer serves every run of its
    structure, and a run may stop and go on at any epoch.

    Args:
      model: the VAE, built; estimator, optimizer and binarization: as configured.
      levels: grey levels of the pixels; None for real values.
      settings: `batch_size`, images a step, where the remainder of a shuffled epoch is dropped; `loss_reduction`,
        "mean" or "sum" of the loss over the batch; `normalize_gradients`, whether to divide each tensor's gradient by
        its norm (Tomczak, Welling 2018).
      jit: whether XLA compiles the loop.
    """

    def __init__(self, model, estimator, optimizer, binarization, levels, settings, jit):
        self.model = model
        self.estimator = estimator
        self.optimizer = optimizer
        self.binarization = binarization
        self.levels = levels
        self.batch_size = settings.batch_size
        self.reduce = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}[settings.loss_reduction]
        self.normalize_gradients = settings.normalize_gradients
        optimizer.build(model.trainable_variables)
        self._initial_slots = [variable.numpy() for variable in optimizer.variables]
        self.jit = jit
        self._steps = tf.function(self._take_steps, jit_compile=jit)
        self._seconds_per_step = None

    def reset_optimizer(self, learning_rate: float | None) -> None:
        """Puts the optimizer back to before its first step; `learning_rate` where it is a number, not a schedule."""
        for variable, initial in zip(self.optimizer.variables, self._initial_slots, strict=True):
            variable.assign(initial)
        if learning_rate is not None:
            self.optimizer.learning_rate = learning_rate

    def weights(self) -> list[np.ndarray]:
        """All that training changes: the model's weights, then the optimizer's variables."""
        return [variable.numpy() for variable in [*self.model.weights, *self.optimizer.variables]]

    def set_weights(self, values: list[np.ndarray]) -> None:
        """Puts back what `weights` gave."""
        for variable, value in zip([*self.model.weights, *self.optimizer.variables], values, strict=True):
            variable.assign(value)

    def step(self, x, seed, epoch):
        """One update on images x [B,H,W,C]; returns the batch's terms and its loss."""
        with tf.GradientTape() as tape:
            terms = self.estimator(self.model, x, seed, epoch)
            loss = self.reduce(terms.loss)
        variables = self.model.trainable_variables
        gradients = tape.gradient(loss, variables)
        if self.normalize_gradients:
            gradients = [gradient / (tf.norm(gradient) + 1e-12) for gradient in gradients]
        self.optimizer.apply(waiting_for_each_other(gradients) if self.jit else gradients, variables)
        return terms, loss

    def _take_steps(self, pixels, order, seed, epoch, first, last, sums, first_bad):
        """Steps `first` to `last` - 1 of an epoch -> sums of the terms, and the first step whose loss is bad or -1."""
        steps_per_epoch = tf.shape(order)[0] // self.batch_size
        i = first
        while i < last:  # a tf.range would make XLA compile anew for each pair of bounds
            step = epoch * steps_per_epoch + i
            rows = tf.slice(order, [i * self.batch_size], [self.batch_size])
            x = self.binarization.visit(tf.gather(pixels, rows), self.levels, seed_for(seed, "binarize", step))
            progress = tf.cast(step, tf.float32) / tf.cast(steps_per_epoch, tf.float32)
            terms, loss = self.step(x, seed_for(seed, "posterior", step), progress)
            sums += tf.stack([tf.reduce_sum(tf.cast(term, tf.float64)) for term in terms])
            bad = tf.logical_and(first_bad < 0, tf.logical_not(tf.math.is_finite(loss)))
            first_bad = tf.where(bad, step, first_bad)
            i += 1
        return sums, first_bad

    def train(self, pixels, seed: int, epochs: int, start: Position = START) -> Iterator[EpochResult]:
        """Trains from `start` up to `epochs`, yielding after each group of steps.

        Args:
          pixels: uint8 tensor [N,H,W,C] on the device.
          seed: the run's seed.

        Raises:
          NonFiniteLoss: as soon as a group of steps held a loss that is not finite.
        """
        rows = pixels.shape[0]
        steps_per_epoch = rows // self.batch_size
        seed = tf.constant(seed, tf.int32)
        for epoch in range(start.epoch, epochs):
            order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed_for(seed, "shuffle", epoch))
            _, done, summed = start if epoch == start.epoch else Position(epoch, 0, START.sums)
            sums, first_bad = tf.constant(summed, tf.float64), tf.constant(-1)
            began, skipped = time.perf_counter(), done
            while done < steps_per_epoch:
                last = min(steps_per_epoch, done + self._group())
                called = time.perf_counter()
                sums, first_bad = self._steps(
                    pixels, order, seed, tf.constant(epoch), tf.constant(done), tf.constant(last), sums, first_bad
                )
                if (bad := int(first_bad)) >= 0:
                    raise NonFiniteLoss(
                        f"the loss is not finite at step {bad} (epoch {bad // steps_per_epoch + 1}); "
                        "try a smaller optimizer.learning_rate or optimizer.clipnorm=1"
                    )
                self._seconds_per_step = (time.perf_counter() - called) / (last - done)
                done, summed = last, np.asarray(sums)
                complete = done == steps_per_epoch
                yield EpochResult(
                    epoch=epoch + done / steps_per_epoch,
                    step=epoch * steps_per_epoch + done,
                    complete=complete,
                    running=dict(zip(Terms._fields, summed / (done * self.batch_size), strict=True)),
                    seconds=time.perf_counter() - began,
                    images=(done - skipped) * self.batch_size,
                    position=Position(epoch + 1, 0, START.sums) if complete else Position(epoch, done, summed),
                )

    def _group(self) -> int:
        """How many steps the next call takes; the first calls are small, to learn what a step costs."""
        if self._seconds_per_step is None:
            return 10
        return max(10, int(SECONDS_PER_CALL / self._seconds_per_step))
