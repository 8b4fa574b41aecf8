"""The one exception that users see."""


class StrataError(Exception):
    """Something the user can put right: the message says what, where and what to do next. Shown without a traceback."""
