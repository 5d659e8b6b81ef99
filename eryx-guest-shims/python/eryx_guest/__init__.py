"""The runtime of guest programs: the standard library, `__main__`, and the outcome of a program."""
