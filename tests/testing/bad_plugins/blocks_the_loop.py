"""Keeps a list of links. Bad: on a reload it reads a long file, and the whole server waits."""

import time

from trichat import hookimpl


class Links:
    @hookimpl
    def on_reload(self) -> None:
        time.sleep(0.3)  # stands for reading the file
