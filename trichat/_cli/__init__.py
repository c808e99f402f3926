"""The command line: `parser` reads it, `actions` runs the commands, and each other module serves one command."""
