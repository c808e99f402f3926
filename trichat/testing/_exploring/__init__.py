"""Plays a scenario again and again. Each time, something goes wrong at another place."""
