"""Which system calls a program may make, with which arguments, and how the others fail. `seccomp.py` compiles it.

Two variants: with forks, for a program in its own PID namespace; without, for a program that shares the machine's
processes: it is a single process, executes nothing and signals nobody else.

How refused calls fail, which honest programs meet too:

- EPERM: calls that Linux has and a program here may not make.
- ENOSYS: calls newer than the tables, and `clone3`, whose arguments a filter cannot see: the C library tries new calls
  first, then takes an older one.
- ENOTSUP for extended attributes, as file systems without them answer (`shutil.copy2` relies on it), and ENOTTY for
  `ioctl`, as files and pipes answer.
"""

import errno

ALLOWED = """
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup dup2 dup3
open openat openat2 creat access faccessat faccessat2 stat fstat lstat newfstatat statx statfs fstatfs
getdents getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat
symlink symlinkat readlink readlinkat ftruncate fallocate flock fsync fdatasync sync_file_range fadvise64
readahead sendfile copy_file_range umask
pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime
mmap mprotect munmap mremap msync madvise brk mlock mlock2 mlockall munlock munlockall
futex set_robust_list set_tid_address rseq arch_prctl restart_syscall exit exit_group wait4 waitid
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause
alarm getitimer setitimer nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
getpid gettid getppid getpgrp getuid geteuid getgid getegid getresuid getresgid getgroups
getrlimit setrlimit getrusage sysinfo uname getcpu getrandom
sched_yield sched_getaffinity sched_get_priority_max sched_get_priority_min
getsockname getpeername getsockopt shutdown recvfrom
"""
"""Calls that reach nothing but the process itself and what it may open or has open."""
ALLOWED_WITH_FORKS = """
chmod fchmod fchmodat chown fchown lchown fchownat utime utimes futimesat utimensat truncate
fork vfork execve kill tkill tgkill setsid setpgid getpgid getsid
sched_getparam sched_getscheduler sched_rr_get_interval
"""
"""Calls that reach no further than the namespaces. Landlock knows nothing of modes, owners and times of files, and its
first versions not of `truncate`: without its own file system a program could change those of the machine's files."""
WITHOUT_EFFECT_WITHOUT_FORKS = "chmod fchmod fchmodat chown fchown lchown fchownat utime utimes futimesat utimensat"
"""Calls that do nothing without forks, and report success: programs that copy files make them and need no effect."""
REFUSED_OTHERWISE = {
    errno.ENOSYS: "clone3",
    errno.ENOTSUP: """
setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
removexattr lremovexattr fremovexattr
""",
}
"""Calls refused with an error number other than EPERM."""

# A rule is a tuple of conditions, and all must hold. A condition is a half of an argument (its index doubled, plus one
# for the upper half), a mask, and the values it may have. The kernel ignores the upper half of an `int`.
Condition = tuple[int, int, tuple[int, ...]]
Rule = tuple[Condition, ...]
OWN_PID = -1
"""Stands in a rule for the number of the process that installs the filter."""
WHOLE = 0xFFFFFFFF
_FIRST, _SECOND, _FIFTH = 0, 2, 8
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF
_CLONE_THREAD = 0x00010000
_CLONE_NEVER = 0x7E020000 | 0x00800000 | 0x8000 | 0x2000 | 0x1000
"""Flags of new namespaces, CLONE_UNTRACED, _PARENT (the child would be the zygote's), _PTRACE and _PIDFD."""
_ITSELF: Rule = ((_FIRST, WHOLE, (0,)),)
_ITSELF_BY_NUMBER: Rule = ((_FIRST, WHOLE, (0, OWN_PID)),)
_ONLY_OWN_PID: Rule = ((_FIRST, WHOLE, (OWN_PID,)),)
"""Zero would be the process group."""

RULES: dict[str, Rule] = {
    # TCGETS, TCGETS2 and TIOCGWINSZ (isatty, size of a terminal), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": ((_SECOND, WHOLE, (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),),
    # F_DUPFD … F_SETLKW, open file description locks, F_DUPFD_CLOEXEC and F_GETPIPE_SZ. Not F_SETOWN and F_SETSIG,
    # with which the kernel sends any signal to any process of the same user.
    "fcntl": ((_SECOND, WHOLE, (*range(8), 36, 37, 38, 1030, 1032)),),
    # PR_GET_PDEATHSIG, _GET_DUMPABLE, _SET_NAME, _GET_NAME, _SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS, _SVE_GET_VL
    "prctl": ((_FIRST, WHOLE, (2, 3, 15, 16, 38, 39, 51)),),
    # Connected streams, which asyncio and multiprocessing need; a datagram socket could send to an outsider by name.
    "socketpair": ((_FIRST, WHOLE, (_AF_UNIX,)), (_SECOND, _SOCK_TYPE_MASK, (_SOCK_STREAM,))),
    "sendto": ((_FIFTH, WHOLE, (0,)), (_FIFTH + 1, WHOLE, (0,))),
    "prlimit64": _ITSELF,
    "sched_setaffinity": _ITSELF,
    "sched_setscheduler": _ITSELF,
    "sched_setparam": _ITSELF,
    # PRIO_PROCESS is zero: neither a process group nor all of a user's.
    "getpriority": (*_ITSELF, (_SECOND, WHOLE, (0,))),
    "setpriority": (*_ITSELF, (_SECOND, WHOLE, (0,))),
}
RULES_WITH_FORKS: dict[str, Rule] = {"clone": ((_FIRST, _CLONE_NEVER, (0,)),)}
RULES_WITHOUT_FORKS: dict[str, Rule] = {
    "clone": ((_FIRST, _CLONE_NEVER | _CLONE_THREAD, (_CLONE_THREAD,)),),
    "kill": _ONLY_OWN_PID,
    "tkill": _ONLY_OWN_PID,
    "tgkill": _ONLY_OWN_PID,
    "getpgid": _ITSELF_BY_NUMBER,
    "getsid": _ITSELF_BY_NUMBER,
    "sched_getparam": _ITSELF_BY_NUMBER,
    "sched_getscheduler": _ITSELF_BY_NUMBER,
    "sched_rr_get_interval": _ITSELF_BY_NUMBER,
}
RULE_ERRORS = {"ioctl": errno.ENOTTY}
"""How a call fails whose rule does not hold; EPERM for those not listed."""
