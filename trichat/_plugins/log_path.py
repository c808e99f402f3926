"""Which file the chat log is: the plugin that keeps it says so."""

from collections.abc import Iterable
from pathlib import Path


def log_path_of(plugins: Iterable[object]) -> Path | None:
    """Return the `log_path` of the first of `plugins` that has one; `None` if nobody keeps a log.

    It is the file in which a plugin keeps messages, one line each in the form of `format_log_lines`.
    """
    paths = (getattr(plugin, "log_path", None) for plugin in plugins)
    return next((path for path in paths if isinstance(path, Path)), None)
