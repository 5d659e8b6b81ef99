"""What turns an interpreter into a sandbox: its library, its `__main__`, and how a program ends."""
