"""The one error a user causes and can mend."""


class UsageError(Exception):
    """An option, a file or a server is not as it must be.

    The message is one or two lines: the option and its value, what is wrong, and the way out. Programs print it
    without a traceback and exit with code 2.
    """
