"""The chat itself: sessions, the inbox and the broadcaster, the one order, the history, who is where."""
