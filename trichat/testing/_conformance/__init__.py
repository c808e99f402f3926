"""`trichat check-plugin`: the checks, the plugin they try, and the dialogue they play."""
