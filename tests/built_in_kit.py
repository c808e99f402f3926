"""The names of the built-in plugins, as pyproject.toml has them."""

import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"

BUILT_IN = sorted(tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]["trichat"])
