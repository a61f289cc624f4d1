"""Settings from text and from JSON, by the types of a config's fields: bool, int, float, str, tuples of them, None.

    read_settings({"window": int, "parts": tuple[str, ...]}, ["window=64", "parts=coarse,fine"])

Next: tvad/temporal/registry.py
"""

import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SPOKEN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def read_settings(types_of: Mapping[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Values of `key=value` texts, each of its type. A tuple is written with commas, None as none. ValueError for an
    unknown key, one that is given twice, or a value of another type."""
    out: dict[str, Any] = {}
    for text in given:
        key, sign, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not sign:
            raise ValueError(f"{text!r} is no setting; write key=value")
        if key not in types_of:
            raise ValueError(f"no setting is called {key!r}; there are {', '.join(types_of)}")
        if key in out:
            raise ValueError(f"{key} is given twice")
        try:
            out[key] = of_text(types_of[key], value.strip())
        except ValueError:
            raise ValueError(f"{key} is {value.strip()!r}; it must be {spoken(types_of[key])}") from None
    return out


def of_text(hint: Any, text: str) -> Any:
    """ValueError for a text that is no value of the type."""
    plain, optional = _plain(hint)
    if optional and text.casefold() == "none":
        return None
    if get_origin(plain) is tuple:
        parts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
        return tuple(of_text(kind, part) for kind, part in zip(_kinds(plain, len(parts)), parts, strict=True))
    if plain is bool:
        if text.casefold() not in _TRUTH:
            raise ValueError(text)
        return _TRUTH[text.casefold()]
    value = plain(text)
    if plain is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def of_json(hint: Any, value: Any) -> Any:
    """The value that was written as JSON: lists are tuples again. ValueError for another type."""
    plain, optional = _plain(hint)
    if value is None and optional:
        return None
    if get_origin(plain) is tuple and isinstance(value, list):
        return tuple(of_json(kind, part) for kind, part in zip(_kinds(plain, len(value)), value, strict=True))
    if plain is float and type(value) is int:
        return float(value)
    if type(value) is not plain:
        raise ValueError(f"{value!r} where there must be {spoken(hint)}")
    return value


def spoken(hint: Any) -> str:
    """A type in words, for messages."""
    plain, optional = _plain(hint)
    if get_origin(plain) is tuple:
        kinds = get_args(plain)
        many = "" if Ellipsis in kinds else f"{len(kinds)} "
        said = f"{many}values, each {_SPOKEN[kinds[0]]}, with commas between them"
    else:
        said = _SPOKEN.get(plain, str(plain))
    return f"{said}, or none" if optional else said


def _plain(hint: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was allowed."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [kind for kind in get_args(hint) if kind is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return hint, False


def _kinds(hint: Any, count: int) -> tuple[Any, ...]:
    """The types of `count` parts of a tuple; ValueError where it has another number."""
    kinds = get_args(hint)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return (kinds[0],) * count
    if len(kinds) != count:
        raise ValueError(f"{count} parts, {len(kinds)} expected")
    return kinds
