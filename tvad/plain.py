"""Reading values out of JSON that anybody may have written: what is of another type or absurd is refused.

Next: tvad/evidence.py
"""

from dataclasses import fields
from typing import Any

LARGEST = 1e12  # of any number in an evidence file: seconds, pixels, scores
PLAIN: dict[Any, Any] = {
    float: int | float,
    int: int,
    str: str,
    bool: bool,
    str | None: str | None,
    float | None: int | float | None,
    dict[str, Any]: dict,
    dict[str, str]: dict,
    dict[str, float]: dict,
}


def plain(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass as they are; TypeError for a value of another type, ValueError for an absurd number."""
    for f in fields(kind):
        if f.type not in PLAIN or f.name not in raw:
            continue
        value = raw[f.name]
        if not isinstance(value, PLAIN[f.type]) or (isinstance(value, bool) and f.type is not bool):
            raise TypeError(f"{kind.__name__}.{f.name} is a {type(value).__name__}")
        if f.type == dict[str, float]:
            for key, share in value.items():
                number(share, f"{kind.__name__}.{f.name}.{key}")
        if isinstance(value, int | float) and f.type is not bool:
            number(value, f"{kind.__name__}.{f.name}")
    return raw


def number(value: Any, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a {type(value).__name__}")
    if not abs(value) <= LARGEST:
        raise ValueError(f"{name} is absurd")
    return value


def texts(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} is no list of texts")
    return tuple(values)


def no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")
