"""The version, for the package and for `trichat --version`."""

__version__ = "0.1.0"
