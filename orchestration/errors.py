"""The one exception that users see."""


class StrataError(Exception):
    """Something the user can put right: the message says what, where and what to do next. Shown without a traceback."""


class RetryableError(StrataError):
    """What may pass by itself, such as a server that is away or a lock that somebody holds: try again later."""
