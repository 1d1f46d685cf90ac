"""
Where a ledger file may lie: on a disk of this machine, for locks between machines cannot be trusted.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from solvent.errors import SettingsError

# By their names in the kernel's list of mounts. Those between a virtual machine and its host (9p, virtiofs) are not
# among them: sandboxes and containers have their root there, and all processes inside share one kernel's locks.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.beegfs",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.lizardfs",
        "fuse.moosefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.smbnetfs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "webdav",
    }
)


def require_local_disk(path: Path) -> None:
    """
    Refuse a path, resolved, that lies on a network file system.

    Raises:
        SettingsError: It does; nothing was made there.
    """
    kind = file_system(path, _mounts())
    if kind in NETWORK_FILE_SYSTEMS:
        raise SettingsError(
            where="ledger",
            expected="a file on a disk of this machine",
            got=f"{path} on a network file system ({kind}), where locks between machines cannot be trusted",
            hint="name a file on a local disk with --ledger or SOLVENT_LEDGER",
        )


def file_system(path: Path, mounts: Iterable[tuple[str, str]]) -> str:
    """
    The kind of file system that a path lies on: that of the deepest mount above it, and of those the last made.
    """
    above, found, depth = {str(path), *map(str, path.parents)}, "", 0
    for place, kind in mounts:
        if place in above and len(place) >= depth:
            found, depth = kind, len(place)
    return found


def read_mounts(text: str) -> Iterator[tuple[str, str]]:
    """
    The places and kinds in the kernel's list of mounts.

    Source:
        proc_pid_mounts(5) and fstab(5), Linux man-pages 6.9: spaces and the like are octal; read 2026-11-21.
    """
    for line in text.splitlines():
        _, place, kind, *_ = line.split(" ")
        yield re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place), kind


def _mounts() -> Iterable[tuple[str, str]]:
    if sys.platform == "linux":
        try:
            return read_mounts(Path("/proc/self/mounts").read_text(errors="surrogateescape"))
        except OSError:
            return ()  # A sandbox without /proc: nothing is known, so nothing speaks against it.
    import psutil

    return [(mount.mountpoint, mount.fstype) for mount in psutil.disk_partitions(all=True)]
