"""Finds the file of the chat log. The plugin that keeps the log says which file it is."""

from collections.abc import Iterable
from pathlib import Path

from trichat._base.errors import PluginError
from trichat._base.failures import pass_on, with_place


def log_path_of(plugins: Iterable[object]) -> Path | None:
    """Return the `log_path` of the first of `plugins` that has one, or `None` if no plugin keeps a log.

    That file has one line per message, in the form of `format_log_lines`. Raises `PluginError` if a `log_path` fails.
    """
    return next((path for path in map(_log_path, plugins) if path is not None), None)


def _log_path(plugin: object) -> Path | None:
    try:
        path = getattr(plugin, "log_path", None)
    except BaseException as error:
        pass_on(error)
        raise PluginError(f"log_path of {type(plugin).__name__} failed: {with_place(error)}") from error
    return path if isinstance(path, Path) else None
