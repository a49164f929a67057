"""The one error a user causes and can mend, and the one that is none."""


class UsageError(Exception):
    """An option, a file or a server is not as it must be.

    The message is one or two lines: the option and its value, what is wrong, and the way out. Programs print it
    without a traceback and exit with code 2.
    """


class Pruned(BaseException):
    """A search has seen enough of a run: its trial is behind the others. No failure, so no `Exception` either."""
