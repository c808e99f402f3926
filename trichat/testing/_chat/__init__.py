"""A chat in memory and in virtual time, with the people who talk in it."""
