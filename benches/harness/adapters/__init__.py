"""The subjects under test, behind one protocol."""
