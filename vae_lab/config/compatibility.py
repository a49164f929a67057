"""Which options go together: every combination over all axes, judged by the facts in the options' YAML."""

import itertools
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

from vae_lab.config import compose
from vae_lab.config.checks import ACROSS_AXES
from vae_lab.config.options import option_names, read_option
from vae_lab.errors import UsageError

AXES = ("binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")

Combination = tuple[str, ...]  # an option of each axis, in the order of AXES
Pair = tuple[int, str, int, str]  # two axes by their number, and an option of each


class Options(dict):
    """Settings by name, and by attribute as the checks read them."""

    __getattr__ = dict.__getitem__


def reason(combination: Combination, base: Any, options: dict[tuple[str, str], Any]) -> str | None:
    """Why a combination is illegal, or None where it is legal."""
    cfg = Options(base)
    for axis, name in zip(AXES, combination, strict=True):
        cfg[axis] = options[axis, name]
    try:
        for check in ACROSS_AXES:
            check(cfg)
    except UsageError as error:
        return sys.intern(str(error))  # one text for the many combinations that it refuses
    return None


def combinations(
    *overrides: str, only: Mapping[str, str] | None = None
) -> tuple[list[Combination], dict[Combination, str]]:
    """All combinations of options on a data set of 28 x 28 grey pixels: the legal ones, and why the others are not.

    Args:
      *overrides: changes of the configuration that the options are put into.
      only: by axis, the one option of it that is looked at.
    """
    names = {axis: [only[axis]] if only and axis in only else option_names(axis) for axis in AXES}

    def with_attributes(node: Any) -> Any:
        return Options({key: with_attributes(value) for key, value in node.items()}) if isinstance(node, dict) else node

    base = with_attributes(compose.plain(compose.compose_unchecked("data=mnist", *overrides)))
    options = {
        (axis, name): with_attributes(compose.plain(read_option(axis, name))) for axis in AXES for name in names[axis]
    }
    legal, illegal = [], {}
    for combination in itertools.product(*names.values()):
        why = reason(combination, base, options)
        if why is None:
            legal.append(combination)
        else:
            illegal[combination] = why
    return legal, illegal


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


def illegal_pairs(legal: list[Combination], illegal: dict[Combination, str]) -> dict[Pair, str]:
    """The pairs that occur in no legal combination, each with its reason.

    Where no check speaks of both options, some axis has none of its options left by the two of them together: the
    reason is then made of what each of the two refuses there.
    """
    possible = set().union(*map(pairs_of, legal))
    direct: dict[Pair, str] = {}
    refused: set[Pair] = set()
    for combination, why in illegal.items():
        for pair in pairs_of(combination) - possible:
            one, a, other, b = pair
            refused.add(pair)
            if f"{AXES[one]}={a}" in why and f"{AXES[other]}={b}" in why:
                direct.setdefault(pair, why)
    told = direct
    while more := {
        pair: reason
        for pair in sorted(refused - told.keys())
        if (reason := _through_another_axis(pair, told)) is not None
    }:
        told = told | more
    return {pair: told.get(pair, "no combination over all axes holds both") for pair in sorted(refused)}


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
