"""Random numbers that are derived from what they are for, never drawn from a stream with a state."""

from __future__ import annotations

from hashlib import blake2b


def hash64(*parts: object) -> int:
    """Return 64 bits from a hash of the parts: the same on every rank and machine, and after every resume."""
    return int.from_bytes(blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


def derived_seed(*parts: object) -> int:
    """Return a seed of 63 bits from a hash of the parts, such as the run's seed, the step, a problem and a sample."""
    return hash64(*parts) >> 1


def fraction(*parts: object) -> float:
    """Return a number from 0 to below 1 from a hash of the parts."""
    return hash64(*parts) / 2**64
