"""Set-up of the whole suite."""

import signal

# A shell ignores SIGINT in commands that it starts in the background, and their children inherit that. Tests that press
# Ctrl-C would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
