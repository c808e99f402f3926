"""The configuration: one TOML file, with a type for every key. Each fault is reported with its place."""
