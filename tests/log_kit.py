"""Chat logs for tests."""

# Lines that trichat never wrote, as somebody's editor or another program may have left them in a chat log.
FOREIGN = [
    b"",
    b" ",
    b"# moved here from the old server",
    b"alice: hello",
    b"yesterday lobby alice: hello",
    b"2026-11-22T13:29:00.123456 lobby alice: hello",
    b"2026-11-22 13:29:00Z lobby alice: hello",
    b"2026-13-22T13:29:00.123456Z lobby alice: hello",
    b"2026-11-22T13:29:00.123456Z lobby alice says hello",
    b"2026-11-22T13:29:00.123456Z lobby",
    b"\xff\xfe\x00",
    b"\x00" * 4096,
]
