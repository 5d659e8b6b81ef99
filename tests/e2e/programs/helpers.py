"""Helpers that precede every program under test."""

import errno


def outcome(call, *arguments, **keywords):
    """Return the result of a call, or the description of its exception."""
    try:
        return call(*arguments, **keywords)
    except Exception as error:
        return described(error)


def described(error):
    """Return the class of an exception, and the name of its error number if it has one."""
    name = type(error).__name__
    number = getattr(error, "errno", None)
    # The errors of `ssl` have other numbers.
    if name.startswith("SSL") or number not in errno.errorcode:
        return name
    return f"{name}({errno.errorcode[number]})"
