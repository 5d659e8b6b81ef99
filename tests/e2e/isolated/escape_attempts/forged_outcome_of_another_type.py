"""The runner itself, made to report what is no outcome at all."""

import eryx_guest.runner as runner

runner.describe_exception = lambda error: object()
raise ValueError
