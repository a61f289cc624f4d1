"""tvad: ask a video what is anomalous, and check every answer.

Three verbs and one noun: `analyze`, `ask`, `caption`, `Evidence`. Importing this module loads no model and no torch.
"""

from tvad.evidence import Evidence

__all__ = ["Evidence", "analyze", "ask", "caption"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in ("analyze", "ask", "caption"):
        from tvad import api

        return getattr(api, name)
    raise AttributeError(f"module 'tvad' has no attribute {name!r}")
