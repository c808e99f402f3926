"""Plays a scenario again and again, with something going wrong at another place each time."""
