"""Numbers as text, wherever a person reads them."""

import math
from typing import Any


def number(value: float, signed: bool = False) -> str:
    """A value in nats or bits, or a dash for none.

    >>> number(-23.456), number(0.0123, signed=True), number(float("nan"))
    ('-23.46', '+0.012', '–')
    """
    if math.isnan(value):
        return "–"
    places = 2 if abs(value) >= 1 else 3
    return f"{value:+.{places}f}" if signed else f"{value:.{places}f}"


def interval(low: float, high: float, signed: bool = False) -> str:
    """An interval's ends, or a dash for none."""
    return "–" if math.isnan(low) else f"[{number(low, signed)}, {number(high, signed)}]"


def p_text(p: float, mark: str = "") -> str:
    """A p-value with what marks it, or a dash for none."""
    if math.isnan(p):
        return "–"
    return ("< 0.001" if p < 0.001 else f"{p:.3f}") + mark


def seeds_text(needed: int | None) -> str:
    """How many seeds a difference needs."""
    return "–" if needed is None else str(needed)


def mean_and_error(mean: float, error: float) -> str:
    """A mean with its standard error, where there is one: nats with two places, what is below 1 with four."""
    places = 4 if abs(mean) < 1 else 2
    text = f"{mean:.{places}f}"
    return text if math.isnan(error) else f"{text} ± {error:.{places}f}"


def spoken(seconds: float) -> str:
    """Seconds as a person says them.

    >>> spoken(48), spoken(600), spoken(9000)
    ('48 s', '10.0 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def short(value: Any) -> str:
    """A value of any kind, numbers with four digits.

    >>> short(0.00123456), short(64), short("mixture")
    ('0.001235', '64', 'mixture')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)
