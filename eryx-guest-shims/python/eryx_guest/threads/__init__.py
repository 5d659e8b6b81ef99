"""Threads that take turns in an interpreter with one thread."""
