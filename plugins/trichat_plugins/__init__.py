"""The plugins that come with trichat, one file each; `_log_file` belongs to `chat_log`, and `json_lines` has a folder.

They use only what `trichat` offers to any plugin.
"""
