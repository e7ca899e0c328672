"""A full disk is distinguished from other errors."""

import errno
from pathlib import Path

from torch.distributed.checkpoint.api import CheckpointException

from acereason.training.full_disk import disk_is_full


def test_a_full_disk_is_known_however_deep_it_is_wrapped(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    quota = OSError(errno.EDQUOT, "Disk quota exceeded")
    wrapped = ValueError("you tried to log")
    wrapped.__cause__ = quota
    gathered = CheckpointException("rank 1 failed", {1: (full, [])})  # type: ignore[dict-item]
    assert all(disk_is_full(tmp_path, error) for error in (full, quota, wrapped, gathered))
    assert not any(
        disk_is_full(tmp_path, error) for error in (OSError(errno.EIO, "no"), RuntimeError("unexpected pos"))
    )
    assert list(tmp_path.iterdir()) == []
