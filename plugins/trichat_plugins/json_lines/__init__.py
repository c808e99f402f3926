"""JSON lines: one object a line, both ways, for bots and programs. `docs/json-lines.md` has the grammar."""

from trichat_plugins.json_lines.plugin import JsonLines as JsonLines
