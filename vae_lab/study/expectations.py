"""What a study expects: the rows of `study.expected`, and whether they are of the form that is judged.

    expected:
      - {arm: mvn, value: -89.8, tolerance: 0.7, source: "...", mark: S}
      - {difference: [mixture, mvn], between: [0.0, null], source: "...", mark: Q}

A row is of the study's metric unless it names another; a value may be of a sum, such as "test/distortion + 2
test/rate". Marks say how sure the number is: S seen in a source, Q quoted by somebody else, C computed on the same
data, M from memory. M is shown and never judged by. Nor is a value whose tolerance is wider than the effect that the
study is about: arms that differ by so much, and arms that do not, would both meet it. That effect is the widest gap
between values that the study expects of different arms, or where it has those of one arm alone, its `smallest_effect`.
"""

import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vae_lab.errors import UsageError
from vae_lab.evaluation.quantities import OF_A_LAYER, OF_AN_EPOCH, QUANTITIES

MARKS = {"S": "seen in the source", "Q": "quoted", "C": "computed", "M": "from memory"}
DEFAULT_METRIC = "test/elbo"
SPLITS = ("train", "val", "test")
FREE = ("perf/", "gradient/")  # whose names depend on parts and machines
KEYS = ({"arm", "value", "tolerance"}, {"difference", "between"})
COMMON = {"source", "mark"}
METRIC = re.compile(r"\S+/\S+")
TERM = re.compile(rf"(\d+(\.\d+)? )?{METRIC.pattern}")


@dataclass(frozen=True)
class Expectation:
    """One expectation: an arm's metric, or the difference of two arms', lies between two bounds."""

    arms: tuple[str, ...]  # one, or two: the first minus the second
    metric: str
    low: float | None  # None: no bound
    high: float | None
    stated: str  # the bounds as the study states them
    source: str
    mark: str
    decides_nothing: str = ""  # why no result could tell anything by it

    @property
    def shown_only(self) -> str:
        """Why no result is judged by it; empty where results are."""
        return "from memory" if self.mark == "M" else self.decides_nothing

    @property
    def judged(self) -> bool:
        """Whether a result can miss it."""
        return not self.shown_only

    @property
    def subject(self) -> str:
        """What the expectation is about."""
        return " − ".join(self.arms)


def study_metric(study: Mapping[str, Any] | None) -> str:
    """The metric a study is about."""
    return str((study or {}).get("metric") or DEFAULT_METRIC)


def read_expectations(study: Mapping[str, Any]) -> tuple[Expectation, ...]:
    """Reads `study.expected`.

    Raises:
      UsageError: naming the first row that has not the form above.
    """
    rows = study.get("expected") or []
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise UsageError("study.expected must be a list of rows, such as {arm: mvn, value: -90, tolerance: 1, ...}")
    read = [_expectation(row, f"study.expected[{number}]", study) for number, row in enumerate(rows)]
    values = [(one, row["value"], row["tolerance"]) for one, row in zip(read, rows, strict=True) if "value" in row]
    told = {id(one): _decides_nothing(one, tolerance, values, study) for one, _, tolerance in values}
    return tuple(replace(one, decides_nothing=told.get(id(one), "")) for one in read)


def smallest_effect(study: Mapping[str, Any] | None) -> float | None:
    """The smallest difference of a study's metric that is of interest, in that metric's unit; None where none is named.

    Raises:
      UsageError: where it is no number above 0.
    """
    effect = (study or {}).get("smallest_effect")
    if effect is not None and not (_is_number(effect) and 0 < effect < math.inf):
        raise UsageError(f"study.smallest_effect={effect} must be a number above 0, in the unit of the study's metric")
    return effect


def _decides_nothing(
    one: Expectation, tolerance: float, values: Sequence[tuple[Expectation, float, float]], study: Mapping[str, Any]
) -> str:
    """Why a value of that tolerance tells nothing of the study's effect; empty where it may."""
    by_arm = [(other.arms, value) for other, value, _ in values if other.metric == one.metric]
    gap = max(abs(value - other) for arm, value in by_arm for another, other in by_arm)
    if len({arm for arm, _ in by_arm}) > 1 and gap > 0:
        effect, what = gap, "between the values that are expected of the arms"
    elif one.metric == study_metric(study):
        effect, what = smallest_effect(study) or math.inf, "that is the study's smallest effect"
    else:
        return ""
    if tolerance <= effect * (1 + 1e-9):
        return ""
    return f"its tolerance of {tolerance:g} is wider than the {effect:.3g} {what}"


def check_metrics(study: Mapping[str, Any], own: Collection[str] = ()) -> None:
    """Raises UsageError where a study names a metric that no run has.

    Args:
      study: whose expectations can be read.
      own: names of the user's own metrics.
    """
    require_metric(study_metric(study), "study.metric", own)
    for number, one in enumerate(read_expectations(study)):
        for term in one.metric.split(" + "):
            require_metric(term.rpartition(" ")[2], f"study.expected[{number}].metric", own)


def require_metric(metric: str, place: str, own: Collection[str]) -> None:
    """Raises UsageError where no run has a metric of that name."""
    if metric.startswith(FREE):
        return
    known = [f"{split}/{name}" for split in SPLITS for name in (*QUANTITIES, *own)]
    known += [f"running/{name}" for name in (*QUANTITIES[:3], *OF_AN_EPOCH)]
    split, _, name = metric.partition("/")
    of_layer = split in SPLITS and bool(OF_A_LAYER.fullmatch(name))
    if metric not in known and not of_layer:
        like = difflib.get_close_matches(metric, known, n=3)
        named = f"did you mean {' or '.join(like)}?" if like else "there are test/elbo, test/log_likelihood and others"
        raise UsageError(f"{place}={metric} is no metric of a run; {named}")


def _expectation(row: Any, place: str, study: Mapping[str, Any]) -> Expectation:
    keys = set(row) - {"metric"} if isinstance(row, Mapping) else set()
    if keys not in [form | COMMON for form in KEYS]:
        forms = " or ".join(f"{{{', '.join(sorted(form))}, metric (optional), source, mark}}" for form in KEYS)
        raise UsageError(f"{place}={row} must have the keys {forms}")
    if row["mark"] not in MARKS:
        raise UsageError(f"{place}.mark={row['mark']} must be one of {', '.join(MARKS)}")
    if not isinstance(row["source"], str) or not row["source"].strip():
        raise UsageError(f"{place}.source={row['source']} must say where the number is from")
    metric = row.get("metric") or study_metric(study)
    if not isinstance(metric, str) or not all(TERM.fullmatch(term) for term in metric.split(" + ")):
        raise UsageError(f"{place}.metric={metric} must be a metric's name, such as test/elbo")
    if "difference" in row and not METRIC.fullmatch(metric):
        raise UsageError(f"{place}.metric={metric} is a sum, of which there are values but no differences")
    arms = (row["arm"],) if "arm" in row else row["difference"]
    if not isinstance(arms, Sequence) or isinstance(arms, str) or len(arms) != len(set(map(str, arms))):
        raise UsageError(f"{place}.difference={arms} must be two different arms")
    if "difference" in row and len(arms) != 2:
        raise UsageError(f"{place}.difference={arms} must be two different arms")
    known = list(map(str, study["arms"]))
    if unknown := [arm for arm in arms if str(arm) not in known]:
        raise UsageError(f"{place} names the arm {unknown[0]}; study.arms has {', '.join(known)}")
    low, high, stated = _value_bounds(row, place) if "arm" in row else _bounds(row["between"], place)
    return Expectation(tuple(map(str, arms)), metric, low, high, stated, row["source"].strip(), row["mark"])


def value_of(metric: str, metrics: Mapping[str, float]) -> float | None:
    """An expectation's metric, None where the metrics have it not.

    >>> value_of("test/distortion + 2 test/rate", {"test/distortion": 90.0, "test/rate": 13.5})
    117.0
    """
    total = 0.0
    for term in metric.split(" + "):
        factor, _, name = term.rpartition(" ")
        if name not in metrics:
            return None
        total += float(factor or 1) * metrics[name]
    return total


def _value_bounds(row: Mapping[str, Any], place: str) -> tuple[float, float, str]:
    value, tolerance = row["value"], row["tolerance"]
    if not _is_number(value) or not _is_number(tolerance) or tolerance < 0:
        raise UsageError(f"{place}: value={value} and tolerance={tolerance} must be numbers, tolerance at least 0")
    return value - tolerance, value + tolerance, f"{value:g} within {tolerance:g}"


def _bounds(between: Any, place: str) -> tuple[float | None, float | None, str]:
    ends = list(between) if isinstance(between, Sequence) and not isinstance(between, str) else []
    if len(ends) != 2 or not all(end is None or _is_number(end) for end in ends) or ends == [None, None]:
        raise UsageError(f"{place}.between={between} must be two numbers, of which one may be null")
    low, high = ends
    if low is not None and high is not None and low > high:
        raise UsageError(f"{place}.between={between} must have the smaller number first")
    if high is None:
        return low, None, f"at least {low:g}"
    return low, high, f"at most {high:g}" if low is None else f"between {low:g} and {high:g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
