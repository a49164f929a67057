"""How MLflow's `log_image` names the frames of a key, by which its UI shows them step by step."""

import re
import uuid
from typing import NamedTuple

FOLDER = "images"
NAME = re.compile(r"(?P<key>[^+%]+)[+%]step[+%](?P<step>\d+)[+%]timestamp[+%]\d+[+%][^+%]+\.png")


class Frame(NamedTuple):
    """What a frame's file name tells."""

    key: str
    step: int


def stem(run_id: str, frame: Frame) -> str:
    """The name of a frame's file but for its ending: the same whenever the same run logs it again."""
    unique = uuid.uuid5(uuid.UUID(run_id), f"{frame.key} {frame.step}")
    return f"{frame.key}+step+{frame.step}+timestamp+{frame.step}+{unique}"


def parse(name: str) -> Frame | None:
    """The frame of a PNG's name; None for other files. A server may have put % for +.

    >>> parse("prior_samples+step+10+timestamp+1795237069892+1b66.png")
    Frame(key='prior_samples', step=10)
    """
    found = NAME.fullmatch(name)
    return Frame(found["key"], int(found["step"])) if found else None
