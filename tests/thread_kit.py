"""The threads that Trio lends to whoever names no limiter."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


@contextmanager
def all_threads_taken() -> Iterator[None]:
    """In the block no thread is left, as where some plugin hangs in all of them."""
    limiter = trio.to_thread.current_default_thread_limiter()
    hung = [object() for _ in range(int(limiter.available_tokens))]
    for each in hung:
        limiter.acquire_on_behalf_of_nowait(each)
    try:
        yield
    finally:
        for each in hung:
            limiter.release_on_behalf_of(each)
