"""TLS: what CPython's `_ssl` offers, over the host's TLS sessions."""
