"""What a search varies: Hydra's override grammar, read as Optuna's distributions."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from vae_lab.errors import UsageError
from vae_lab.study.plan import to_override

# Combinations of choices that are tried before the first trial, to see that each value can be part of one.
MOST_CHECKED = 100

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Space:
    """A search space, and what is the same in every trial of it."""

    parameters: dict[str, BaseDistribution]
    fixed: dict[str, str]  # by key its value in Hydra's text
    seeds: tuple[str, ...]  # of each trial, whose value is the mean over them

    def overrides(self, point: Point, seed: str) -> tuple[str, ...]:
        """The overrides of a point. A choice is Hydra's text as it was written; a number becomes one."""
        chosen = {
            key: str(value) if isinstance(self.parameters[key], CategoricalDistribution) else repr(value)
            for key, value in point.items()
        }
        return tuple(f"{key}={text}" for key, text in (self.fixed | chosen | {"seed": seed}).items())

    def size(self) -> float:
        """How many different points there are; infinite where a parameter is continuous."""
        return math.prod(map(_size, self.parameters.values()))

    def described(self) -> dict[str, str]:
        """The parameters as text, by which two searches are compared."""
        return {key: distribution_to_json(distribution) for key, distribution in self.parameters.items()}


def _size(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return math.inf if distribution.low < distribution.high else 1
    return round((distribution.high - distribution.low) / distribution.step) + 1


def read_space(
    params: Mapping[str, Any] | None, arguments: Sequence[str], parse: Callable[[list[str]], list[Any]]
) -> Space:
    """Reads a space.

    Args:
      params: `hydra.sweeper.params`: by key an override's value, as text.
      arguments: the command line's overrides, which win over `params`.
      parse: Hydra's parser of overrides.

    Raises:
      UsageError: naming the first value that no search can vary, or a space without parameters.
    """
    parameters: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    seeds: tuple[str, ...] = ("0",)
    entries = [
        f"{key}={text}" if isinstance(text, str) else to_override(key, text) for key, text in (params or {}).items()
    ]
    for source, texts in (("hydra.sweeper.params: ", entries), ("", arguments)):
        given: set[str] = set()
        for text in texts:
            try:
                (override,) = parse([text])
            except HydraException as error:
                raise UsageError(f"{source}{text} is not in Hydra's grammar: {' '.join(str(error).split())}") from None
            key = override.get_key_element()
            if key in given:
                raise UsageError(f"{source}{key} is given twice; give it once")
            given.add(key)
            parameters.pop(key, None)
            fixed.pop(key, None)
            if key == "seed":
                seeds = _seeds(override)
            elif override.is_sweep_override():
                parameters[key] = distribution_of(override)
            else:
                fixed[key] = override.get_value_element_as_str()
    if not parameters:
        raise UsageError(
            "hydra/sweeper=optuna has nothing to search; give a parameter as in 'latent_size=int(interval(2,40))' "
            "or hydra.sweeper.params"
        )
    return Space(parameters, fixed, seeds)


def _seeds(override: Any) -> tuple[str, ...]:
    if not override.is_sweep_override():
        return (override.get_value_element_as_str(),)
    if not override.is_discrete_sweep():
        raise UsageError(f"{override.input_line}: a search does not vary seeds; list those of each trial, as seed=0,1")
    seeds = tuple(override.sweep_string_iterator())
    if len(set(seeds)) != len(seeds):
        raise UsageError(f"{override.input_line} has a seed twice")
    return seeds


def distribution_of(override: Any) -> BaseDistribution:
    """Optuna's distribution of a sweep override.

    An interval has both its ends, and is one of whole numbers inside int(...); a range is without its stop.

    Raises:
      UsageError: where there is none.
    """
    value, line = override.value(), override.input_line
    tags: set[str] = getattr(value, "tags", set())
    if tags - {"log"}:
        raise UsageError(f"{line}: tag {sorted(tags - {'log'})[0]} has no meaning in a search; it knows log")
    if tags and not override.is_interval_sweep():
        raise UsageError(f"{line}: only an interval can be logarithmic, as in tag(log, interval(1e-5, 1e-2))")
    try:
        if override.is_interval_sweep():
            whole = isinstance(value.start, int) and isinstance(value.end, int)
            return (IntDistribution if whole else FloatDistribution)(value.start, value.end, log="log" in tags)
        if override.is_range_sweep():
            # In decimals, as they are written: .1 + 3 * .3 is not below 1 by chance.
            start, stop, step = (Decimal(str(number)) for number in (value.start, value.stop, value.step))
            count = math.ceil((stop - start) / step)
            if count < 1:
                raise UsageError(f"{line} is an empty range")
            whole = all(isinstance(number, int) for number in (value.start, value.step))
            number = int if whole else float
            low, high = sorted([start, start + (count - 1) * step])
            return (IntDistribution if whole else FloatDistribution)(number(low), number(high), step=number(abs(step)))
    except ValueError as error:  # Optuna's: low above high, or a logarithm of what is not positive
        raise UsageError(f"{line}: {error}") from None
    texts = list(override.sweep_string_iterator())
    if not texts or len(set(texts)) != len(texts):
        raise UsageError(f"{line} must list different values")
    return CategoricalDistribution(texts)


def check_space(space: Space, check: Callable[[Point], Any]) -> Point:
    """Checks that each choice and each end of an interval can be part of a run; returns a point that can run.

    Args:
      space: the space.
      check: raises UsageError where a point cannot run.

    Raises:
      UsageError: that of the first value which cannot.
    """
    ends = {key: _ends(distribution) for key, distribution in space.parameters.items()}
    choices = {key: isinstance(distribution, CategoricalDistribution) for key, distribution in space.parameters.items()}

    def first_legal(fixed: Point) -> Point:
        lists = [
            [fixed[key]] if key in fixed else values if choices[key] else values[:1] for key, values in ends.items()
        ]
        return _first_that_can_run((dict(zip(ends, point)) for point in itertools.product(*lists)), check)

    base = first_legal({})
    for key, values in ends.items():
        for value in values:
            if value == base[key]:
                continue
            try:
                check({**base, key: value})
            except UsageError:
                if not choices[key]:
                    raise
                first_legal({key: value})
    return base


def _first_that_can_run(points: Iterable[Point], check: Callable[[Point], Any]) -> Point:
    first: UsageError | None = None
    for point in itertools.islice(points, MOST_CHECKED):
        try:
            check(point)
        except UsageError as error:
            first = first or error
        else:
            return point
    assert first is not None, "a space has at least one point"
    raise first


def _ends(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return list(dict.fromkeys([distribution.low, distribution.high]))
