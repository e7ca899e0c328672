"""The empty file system of a zone: the interpreter's library read-only, a few devices, and a small /tmp."""

from __future__ import annotations

import os

from acereason.sandbox import kernel

DEVICES = ("null", "zero", "full", "random", "urandom")
"""Devices that programs find in /dev."""
_STREAMS = ("stdin", "stdout", "stderr")
HIDDEN = ("site-packages", "dist-packages")
"""Folders in the library's folder that do not belong to the standard library; programs do not see them."""
_TMP, _SCRATCH = "/tmp", "/scratch"
_MS_NOATIME, _MS_MOVE = 1024, 8192
_ROOT = "/tmp"
"""Where the new root is put together; any folder will do, since nobody else sees the mount."""


def library_paths(packages: list[str]) -> list[str]:
    """Return the folders and files that programs may read: the standard library, its shared libraries, and packages.

    Args:
        packages: folders of packages, such as numpy's and the folder of its shared libraries.
    """
    folder = os.path.dirname(os.__file__)
    shared = _shared_libraries([os.path.join(folder, "lib-dynload"), *packages])
    inside = (folder + "/", *(package + "/" for package in packages))
    outside = [path for path in shared if not path.startswith(inside)]
    return [folder, *packages, *outside]


def _links(paths: list[str]) -> list[tuple[str, str]]:
    """Return the links by which the loader finds libraries, with their targets: `lib`, and sonames beside the files."""
    top = [f"/{name}" for name in os.listdir("/") if name.startswith("lib") and os.path.islink(f"/{name}")]
    files = {path for path in paths if os.path.isfile(path)}
    beside = [
        entry.path
        for folder in sorted({os.path.dirname(path) for path in files})
        for entry in os.scandir(folder)
        if entry.is_symlink() and os.path.realpath(entry.path) in files
    ]
    return [(path, os.readlink(path)) for path in (*top, *beside)]


def readable_paths(paths: list[str]) -> list[str]:
    """Return what may be read where nothing can be mounted, folder by folder, without the hidden ones."""
    entries = [os.path.join(paths[0], name) for name in os.listdir(paths[0]) if name not in HIDDEN]
    return [*entries, *paths[1:], *(f"/dev/{name}" for name in DEVICES)]


def _shared_libraries(folders: list[str]) -> list[str]:
    """Return the files that are mapped once all extension modules in the folders are loaded, by a separate process."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _load_all(folders)
            with open("/proc/self/maps") as maps, open(write, "w") as answer:
                fields = (line.split(maxsplit=5) for line in maps)
                answer.write("\n".join({f[5].strip() for f in fields if len(f) > 5 and f[5].startswith("/")}))
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as answer:
        paths = answer.read().split("\n")
    os.waitpid(pid, 0)
    return sorted(path for path in paths if os.path.exists(path) and ".so" in os.path.basename(path))


def _load_all(folders: list[str]) -> None:
    import ctypes

    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                if ".so" in name:
                    try:
                        ctypes.CDLL(os.path.join(parent, name), mode=os.RTLD_LAZY)
                    except OSError:
                        continue


def working_folder(paths: list[str]) -> str:
    """Return the only folder that programs can write to, where they also start: one that hides no library."""
    return _SCRATCH if any(path.startswith(_TMP + "/") for path in paths) else _TMP


def build_root(paths: list[str]) -> None:
    """Make the new root and enter it; needs its own mount namespace and the right to mount.

    Raises:
        OSError: the kernel refused a step.
    """
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    links = _links(paths)
    sources = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths]
    devices = [os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC) for name in DEVICES]
    kernel.mount("tmpfs", _ROOT, "tmpfs", kernel.MS_NOSUID, "size=1m,nr_inodes=4k,mode=755")
    for source, path in zip(sources, paths, strict=True):
        _bind(source, _ROOT + path, kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)
    hide = [os.path.join(path, name) for path in paths for name in HIDDEN if os.path.isdir(os.path.join(path, name))]
    for path in hide:
        kernel.mount("tmpfs", _ROOT + path, "tmpfs", kernel.MS_RDONLY, "size=4k,mode=755")
    for device, name in zip(devices, DEVICES, strict=True):
        _bind(device, f"{_ROOT}/dev/{name}", kernel.MS_NOSUID | kernel.MS_NOEXEC)
    streams = [(f"/dev/{name}", f"/proc/self/fd/{number}") for number, name in enumerate(_STREAMS)]
    for path, target in (*links, *streams, ("/dev/fd", "/proc/self/fd")):
        if not os.path.lexists(_ROOT + path):
            os.symlink(target, _ROOT + path)
    for folder in (working_folder(paths), "/proc"):
        os.makedirs(_ROOT + folder, exist_ok=True)
    _mount_proc(_ROOT + "/proc")
    _enter(_ROOT)


def _bind(source: int, target: str, flags: int) -> None:
    path = f"/proc/self/fd/{source}"
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    kernel.mount(path, target, None, kernel.MS_BIND)
    kernel.mount(None, target, None, kernel.MS_BIND | kernel.MS_REMOUNT | flags | _locked(target))
    os.close(source)


def _locked(path: str) -> int:
    """Return the flags that a mount has already and that a user namespace may not remove."""
    return os.statvfs(path).f_flag & (kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY)


def _mount_proc(target: str) -> None:
    """Mount a /proc of the zone's own processes, for /dev/stdin; where a container forbids it, programs do without."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    try:
        kernel.mount("proc", target, "proc", flags, "subset=pid,hidepid=2")
    except OSError:
        return


def _enter(root: str) -> None:
    """Make `root` the root folder and leave nothing of the old one."""
    os.chdir(root)
    try:
        kernel.pivot_root(".", ".")
        kernel.umount(".", kernel.MNT_DETACH)
    except PermissionError:  # a container may forbid this one call; programs have no right to get back this way either
        kernel.mount(".", "/", None, _MS_MOVE)
        os.chroot(".")
    os.chdir("/")
    kernel.mount(None, "/", None, kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_BIND)


class ScratchFolder:
    """The folder that programs can write to; where a program left something in it, a new one is mounted."""

    def __init__(self, folder: str, mebibytes: int) -> None:
        self.folder = folder
        self._options = f"size={mebibytes}m,nr_inodes=4k,mode=1777"
        self._mount()

    def _mount(self) -> None:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | _MS_NOATIME
        kernel.mount("tmpfs", self.folder, "tmpfs", flags, self._options)
        os.chdir(self.folder)
        self._fresh = self._state()

    def _state(self) -> tuple[int, ...]:
        folder = os.stat(self.folder)
        return os.statvfs(self.folder).f_ffree, folder.st_mode, folder.st_uid, folder.st_gid, folder.st_ctime_ns

    def renew(self) -> bool:
        """Leave nothing for the next program; return whether a new folder had to be mounted for that."""
        if self._state() == self._fresh:
            return False
        os.chdir("/")
        kernel.umount(self.folder, kernel.MNT_DETACH)
        self._mount()
        return True
