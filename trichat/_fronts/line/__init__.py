"""The line protocol, for people with `nc`. `docs/protocol.md` has its grammar."""
