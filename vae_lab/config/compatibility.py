"""Which options go together: every combination over all axes, judged by the facts in the options' YAML."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vae_lab.config import compose
from vae_lab.config.checks import ACROSS_AXES
from vae_lab.config.checks.facts import Resolved
from vae_lab.config.options import option_names, read_option
from vae_lab.errors import UsageError

AXES = ("binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")

Combination = tuple[str, ...]  # an option of each axis, in the order of AXES
Pair = tuple[int, str, int, str]  # two axes by their number, and an option of each
Choice = dict[int, str]  # of some axes, by their number, an option each


class Unchosen(Exception):
    """A check has read an axis of which no option is chosen yet."""


class _Partial(Resolved):
    """A configuration in which not every axis is chosen."""

    def __missing__(self, name: str) -> Any:
        raise Unchosen(name) if name in AXES else KeyError(name)


class Options:
    """The options of every axis, and the configuration that they are put into: 28 x 28 grey pixels.

    Args:
      *overrides: changes of the configuration.
      only: by axis, the one option of it that is looked at.
    """

    def __init__(self, *overrides: str, only: Mapping[str, str] | None = None):
        self.names = {axis: [only[axis]] if only and axis in only else option_names(axis) for axis in AXES}
        base = compose.plain(compose.compose_unchecked("data=mnist", *overrides))
        self._base = Resolved.of({key: value for key, value in base.items() if key not in AXES})
        self._options = {
            (axis, name): Resolved.of(compose.plain(read_option(axis, name)))
            for axis in AXES
            for name in self.names[axis]
        }

    def reason(self, check: Any, choice: Choice) -> str | None:
        """Why a check refuses a choice, or None where it does not.

        Raises:
          Unchosen: where that depends on another axis.
        """
        cfg = _Partial(self._base)
        for number, name in choice.items():
            cfg[AXES[number]] = self._options[AXES[number], name]
        try:
            check(cfg)
        except UsageError as error:
            return str(error)
        return None

    def refused_by(self, check: Any, choice: Choice) -> Iterator[tuple[Choice, str]]:
        """All that a check refuses of what a choice leaves open: the options that it has read, and why."""
        try:
            why = self.reason(check, choice)
        except Unchosen as error:
            axis = str(error)
            for name in self.names[axis]:
                yield from self.refused_by(check, {**choice, AXES.index(axis): name})
        else:
            if why is not None:
                yield choice, why


def combinations(
    *overrides: str, only: Mapping[str, str] | None = None
) -> tuple[list[Combination], list[tuple[Choice, str]]]:
    """The legal combinations of options over all axes, and every choice that a check refuses, with its reason.

    A combination is legal that holds none of these choices. Axis after axis is chosen, and what is refused already is
    not chosen further.

    Args:
      *overrides: changes of the configuration that the options are put into.
      only: by axis, the one option of it that is looked at.
    """
    options = Options(*overrides, only=only)
    refused: list[tuple[Choice, str]] = []
    for check in ACROSS_AXES:  # what one has refused is not told by another
        found = options.refused_by(check, {})
        refused += [one for one in found if not any(before.items() <= one[0].items() for before, _ in refused)]
    # By the last of its axes and by all of them: the choices that end there.
    ending: list[dict[tuple[int, ...], set[Combination]]] = [{} for _ in AXES]
    for choice, _ in refused:
        axes = tuple(sorted(choice))
        ending[axes[-1]].setdefault(axes, set()).add(tuple(choice[axis] for axis in axes))
    legal: list[Combination] = [()]
    for axis, by_axes in zip(AXES, ending, strict=True):
        grown = ((*combination, name) for combination in legal for name in options.names[axis])
        legal = [
            combination
            for combination in grown
            if not any(tuple([combination[axis] for axis in axes]) in names for axes, names in by_axes.items())
        ]
    return legal, refused


def pairs_of(combination: Combination) -> set[Pair]:
    """All pairs of options that a combination holds."""
    return {
        (one, combination[one], other, combination[other])
        for one, other in itertools.combinations(range(len(combination)), 2)
    }


def covering_set(
    legal: list[Combination], candidates: int = 200, of: Callable[[Combination], set[Pair]] = pairs_of
) -> list[Combination]:
    """Few legal combinations in which every legal pair of options occurs, chosen greedily and always the same.

    Args:
      legal: what is chosen from.
      candidates: how many are looked at for each pair.
      of: the pairs of a combination that count.
    """
    by_pair: dict[Pair, list[Combination]] = {}
    for combination in legal:
        for pair in of(combination):
            by_pair.setdefault(pair, []).append(combination)
    draw = random.Random(0)
    missing, chosen = set(by_pair), []
    for pair in sorted(by_pair, key=lambda pair: (len(by_pair[pair]), pair)):
        if pair in missing:
            offered = draw.sample(by_pair[pair], min(candidates, len(by_pair[pair])))
            best = max(offered, key=lambda combination: len(of(combination) & missing))
            chosen.append(best)
            missing -= of(best)
    return chosen


def illegal_pairs(legal: list[Combination], refused: list[tuple[Choice, str]]) -> dict[Pair, str]:
    """The pairs that occur in no legal combination, each with its reason.

    Where no check speaks of both options, some axis has none of its options left by the two of them together: the
    reason is then made of what each of the two refuses there.
    """
    every = {
        (one, a, other, b)
        for one, other in itertools.combinations(range(len(AXES)), 2)
        for a, b in itertools.product(option_names(AXES[one]), option_names(AXES[other]))
    }
    illegal = every - set().union(*map(pairs_of, legal))
    direct: dict[Pair, str] = {}
    for choice, why in refused:
        for one, other in itertools.combinations(sorted(choice), 2):
            a, b = choice[one], choice[other]
            pair = one, a, other, b
            if pair in illegal and f"{AXES[one]}={a}" in why and f"{AXES[other]}={b}" in why:
                direct.setdefault(pair, why)
    told = direct
    while more := {
        pair: reason
        for pair in sorted(illegal - told.keys())
        if (reason := _through_another_axis(pair, told)) is not None
    }:
        told = told | more
    return {pair: told.get(pair, "no combination over all axes holds both") for pair in sorted(illegal)}


def _through_another_axis(pair: Pair, told: dict[Pair, str]) -> str | None:
    """Why two options exclude each other of which no check speaks together: one example of what each refuses.

    `told` is what is refused so far; None where that does not explain it.
    """
    one, a, other, b = pair
    for axis in set(range(len(AXES))) - {one, other}:
        examples: dict[int, str] = {}
        for name in option_names(AXES[axis]):
            for place, option in ((one, a), (other, b)):
                met = (place, option, axis, name) if place < axis else (axis, name, place, option)
                if met in told:
                    examples.setdefault(place, told[met])
                    break
            else:
                break  # an option that goes with both
        else:
            return "\n".join(examples.values())
    return None
