"""Fake implementations of the interfaces of `eryx:net`."""
