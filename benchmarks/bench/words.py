"""Numbers in words."""


def short(value: float) -> str:
    """Return a number with as many digits as one looks at: three, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
