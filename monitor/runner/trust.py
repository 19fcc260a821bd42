"""Who may have written a file: what root runs may be chosen by nobody else."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_MOST_LINKS: Final = 40


def find_distrust(path: Path, owners: Collection[int]) -> str | None:
    """Say why a file may have been put there by somebody other than its owners, or None.

    Each folder on the way counts, and each symbolic link is followed as the kernel does: whoever
    may change one of them decides which file is read.
    """
    return _check(path.absolute(), owners, _MOST_LINKS)


def _check(path: Path, owners: Collection[int], links: int) -> str | None:
    if links == 0:
        return f"{path}: too many symbolic links"

    for place in (*reversed(path.parents), path):
        try:
            found = place.lstat()
        except OSError as error:
            return f"{place}: {(error.strerror or 'cannot be looked at').lower()}"

        if found.st_uid not in owners:
            return f"{place} belongs to user {found.st_uid}, expected root (chown root)"
        if stat.S_ISLNK(found.st_mode):
            # `..` stays: taken out of the text, it would not mean what it means to the kernel.
            target = place.parent / place.readlink() / path.relative_to(place)
            return _check(target, owners, links - 1)
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not _is_sticky(found.st_mode):
            return f"{place} may be written by others than its owner (chmod go-w)"

    return None


def _is_sticky(mode: int) -> bool:
    """Whether nobody can replace in this folder what belongs to somebody else, as in /tmp."""
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)
