"""What everything else stands on: errors, messages, text, names, addresses. It imports nothing of trichat."""
