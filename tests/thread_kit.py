"""Takes all worker threads of Trio's default limiter."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


@contextmanager
def all_threads_taken() -> Iterator[None]:
    """Inside the block, no worker thread is free, as if a plugin hung in all of them."""
    limiter = trio.to_thread.current_default_thread_limiter()
    hung = [object() for _ in range(int(limiter.available_tokens))]
    for each in hung:
        limiter.acquire_on_behalf_of_nowait(each)
    try:
        yield
    finally:
        for each in hung:
            limiter.release_on_behalf_of(each)
