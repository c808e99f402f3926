"""Numbers in words."""


def short(value: float) -> str:
    """Return a number with three significant digits, or with all digits before the point if there are more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
