"""What a program under test may call without importing it."""

import errno


def outcome(call, *arguments, **keywords):
    """What a call returned or, in one line, what it raised: class and name of the error number."""
    try:
        return call(*arguments, **keywords)
    except Exception as error:
        return described(error)


def described(error):
    """An exception in one line: its class, and the name of its error number if it has one."""
    name = type(error).__name__
    number = getattr(error, "errno", None)
    # Those of `ssl` have numbers of their own.
    if name.startswith("SSL") or number not in errno.errorcode:
        return name
    # WASI has one number for both names.
    return f"{name}({errno.errorcode[number].replace('ESHUTDOWN', 'EPIPE')})"
