"""The command line: `parser` reads it, `actions` runs the commands, and the other modules help with larger ones."""
