"""Plugins: how they are found and built, how their hooks are called, and what becomes of one that fails."""
