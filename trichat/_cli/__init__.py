"""The command line: one module reads it, one carries each command out, and the rest belong to single commands."""
