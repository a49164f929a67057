"""The one error a user causes and can mend, and the one that is none."""


class UsageError(Exception):
    """An option, a file or a server is not as it must be.

    The message is one or two lines: the option and its value, what is wrong, and the way out. Programs print it
    without a traceback and exit with code 2.
    """


class Pruned(BaseException):
    """A search has seen enough of a run: its trial is behind the others. No failure, so no `Exception` either."""


def told(error: BaseException) -> str:
    """What a library's error says, as the part of a line; of a broken file it can be the file's own bytes."""
    return " ".join(str(error).split())[:200]
