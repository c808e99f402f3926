"""Finds the file of the chat log. The plugin that keeps the log says which file it is."""

from collections.abc import Iterable
from pathlib import Path


def log_path_of(plugins: Iterable[object]) -> Path | None:
    """Return the `log_path` of the first of `plugins` that has one, or `None` if no plugin keeps a log.

    That file has one line per message, in the form of `format_log_lines`.
    """
    paths = (getattr(plugin, "log_path", None) for plugin in plugins)
    return next((path for path in paths if isinstance(path, Path)), None)
