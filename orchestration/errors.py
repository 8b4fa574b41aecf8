"""The one exception that users see."""


class StrataError(Exception):
    """Something the user can put right: the message says what, where and what to do next. Shown without a traceback."""


class Busy(StrataError):
    """Somebody else holds what is needed; it may be free again later."""
