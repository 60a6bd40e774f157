"""Seeds as functions of a key."""

from hashlib import blake2b


def seed_of(*key: int | str) -> int:
    """Returns a 63-bit seed that depends on every part of the key: ``seed_of(seed, iteration, "generator")``."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
