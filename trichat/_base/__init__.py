"""What everything else stands on: errors, messages, text, names, addresses, threads. It imports nothing of trichat."""
