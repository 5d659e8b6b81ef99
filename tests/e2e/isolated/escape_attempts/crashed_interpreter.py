"""Ways CPython offers to crash itself."""

import faulthandler

faulthandler._read_null()
faulthandler._sigsegv()
