"""Tells whether a target can be reached, as whom, and what that role may do beyond reading."""

from text2sql.targets.engines import open_target
from text2sql.targets.session import Probe

__all__ = ["Probe", "probe_target"]


def probe_target(url: str, *, timeout: float) -> Probe:
    """`timeout` in seconds. Raises `TargetError`s only."""
    with open_target(url, timeout=timeout) as session:
        return session.probe()
