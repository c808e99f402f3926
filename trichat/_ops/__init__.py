"""`trichat serve` as a process: signals, the control socket, reloads, the log and the watchdog."""
