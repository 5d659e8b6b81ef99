"""Makes the guest's runner report an oversized exception."""

import wit_world

import eryx_guest.runner as runner

runner.describe_exception = lambda error: wit_world.PythonException(
    "x" * 50_000_000, "y" * 50_000_000, "z"
)
raise ValueError
