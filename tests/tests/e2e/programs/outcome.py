"""What a program under test may call without importing it."""

import errno


def outcome(call, *arguments, **keywords):
    """What a call returned or, in one line, what it raised: the class, and the error number's name."""
    try:
        return call(*arguments, **keywords)
    except Exception as error:
        return described(error)


def described(error):
    """An exception in one line: its class, and the name of its error number if it has one."""
    name = type(error).__name__
    # Those of `ssl` have numbers of their own.
    number = None if name.startswith("SSL") else getattr(error, "errno", None)
    return f"{name}({errno.errorcode[number]})" if number in errno.errorcode else name


