"""What `poll` reports of a connection besides its readiness, as bits."""

from __future__ import annotations

HANG_UP = 4
"""Both directions have ended (POLLHUP)."""

ERROR = 8
"""An error is pending (POLLERR)."""

READ_HANG_UP = 32
"""The peer sends no more (POLLRDHUP)."""
