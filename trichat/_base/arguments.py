"""Refuses arguments of a wrong type in one sentence, where they come in, for programs that mypy does not check."""

from trichat._base.failures import described


def require(value: object, wanted: type | tuple[type, ...], rule: str, remedy: str = "") -> None:
    """Raise `TypeError` unless `value` is a `wanted`.

    Its text is the `rule` ("the text must be a string"), the value, and the `remedy` if there is one.
    """
    if not isinstance(value, wanted):
        raise TypeError(f"{rule}, not {described(value)}{f'; {remedy}' if remedy else ''}")
