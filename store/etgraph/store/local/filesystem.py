"""Which file system a store lies on, and whether SQLite's write-ahead log is safe there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NETWORK = frozenset(
    {
        "9p", "afpfs", "afs", "beegfs", "beegfs_nodev", "ceph", "cifs", "coda", "drvfs", "glusterfs", "gpfs", "lustre",
        "mmfs", "ncpfs", "nfs", "nfs3", "nfs4", "orangefs", "panfs", "pvfs2", "quobyte", "smb", "smb2", "smb3",
        "smbfs", "virtiofs", "wekafs", "webdav",
    }
)  # fmt: skip
# FUSE mounts say what they are after the dot; these are known to keep their files on one machine.
LOCAL_FUSE = frozenset(f"fuse.{name}" for name in ("encfs", "ext4", "fuse-overlayfs", "gocryptfs", "ntfs", "ntfs-3g"))


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: its type, and where it is mounted."""

    kind: str
    point: str

    @property
    def network(self) -> bool:
        """Whether other machines may write to it, so that shared memory cannot coordinate its users."""
        kind = self.kind.lower()
        return kind in NETWORK or kind.removeprefix("fuse.") in NETWORK or _remote_fuse(kind)

    def __str__(self) -> str:
        return f"{self.kind} mounted on {self.point}"


def _remote_fuse(kind: str) -> bool:
    return kind.startswith("fuse.") and kind not in LOCAL_FUSE


def mount_of(path: Path) -> Mount | None:
    """The mount that holds a path, by the longest mount point above it; None where the system does not say.

    A path that does not exist is judged by the nearest folder that does.
    """
    import psutil

    existing = next((p for p in (path, *path.parents) if p.exists()), path).resolve()
    best: Mount | None = None
    try:
        partitions = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return None
    for partition in partitions:
        point = Path(partition.mountpoint)
        # Of two mounts on one point, the later one is on top.
        if existing.is_relative_to(point) and (best is None or len(str(point)) >= len(best.point)):
            best = Mount(partition.fstype, str(point))
    return best
