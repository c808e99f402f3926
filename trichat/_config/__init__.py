"""The configuration: one TOML file, typed, with every fault named by its place."""
