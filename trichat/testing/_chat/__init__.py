"""A chat in memory and in virtual time, and the people who talk in it."""
