import errno
import os
import re
import signal
import statistics
import struct
import time
from pathlib import Path

import pytest
from confined import NUMBERS, run, start, users
from simulated_bpf import answer

from acereason.rewards.sandbox import kernel, seccomp, seccomp_policy
from acereason.rewards.sandbox.syscall_numbers import numbers_of

MACHINES = ["x86_64", "aarch64"]
REFUSED = """
socket connect accept accept4 bind listen sendmsg recvmsg sendmmsg recvmmsg setsockopt
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp get_robust_list
pidfd_open pidfd_getfd pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo
keyctl add_key request_key bpf perf_event_open userfaultfd seccomp
io_uring_setup io_uring_enter io_uring_register io_setup io_submit
unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr
landlock_create_ruleset landlock_add_rule landlock_restrict_self
mknodat shmget shmat shmctl shmdt semget semop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_notify
memfd_create memfd_secret execveat personality syslog init_module finit_module delete_module kexec_load
kexec_file_load quotactl quotactl_fd swapon swapoff reboot settimeofday clock_settime adjtimex clock_adjtime
sethostname setdomainname acct vhangup sync syncfs
name_to_handle_at open_by_handle_at fanotify_init fanotify_mark inotify_init1 inotify_add_watch lookup_dcookie
move_pages migrate_pages mbind set_mempolicy get_mempolicy set_mempolicy_home_node
vmsplice splice tee pkey_alloc pkey_free pkey_mprotect remap_file_pages
setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capget capset
sched_setattr sched_getattr ioprio_set ioprio_get timer_create signalfd4
"""
REFUSED_ON_X86_64 = "mknod iopl ioperm modify_ldt uselib ustat sysfs inotify_init signalfd create_module"
XATTR = """
setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr
fremovexattr
"""
ONLY_ON_X86_64 = """
open creat access stat lstat getdents rename mkdir rmdir link unlink symlink readlink chmod chown lchown
utime utimes futimesat pipe poll select epoll_create epoll_wait eventfd dup2 alarm pause time getpgrp fork vfork
arch_prctl
"""
"""Calls that asm-generic left out for newer ones, and one about segment registers."""


def code_of(forks: bool, machine: str, pid: int = 0) -> bytes:
    program = seccomp.build_filter(forks, machine)
    for offset in program.own_pid_at:
        struct.pack_into("<I", program.code, offset, pid)
    return bytes(program.code)


# Tables and programs, for both architectures


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernel_headers(machine: str) -> None:
    if machine == "x86_64":
        header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    else:
        header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        pytest.skip(f"no {header}")
    # asm-generic has numbers under another name where 32-bit machines have another call.
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    theirs = {{"fstatat": "newfstatat"}.get(name, name): int(number) for name, number in found}
    ours = numbers_of(machine)
    both = set(ours) & set(theirs)
    assert len(both) > 300
    assert {name: ours[name] for name in both} == {name: theirs[name] for name in both}


def test_calls_of_the_policy_exist_on_both_architectures_but_for_old_ones() -> None:
    policy = seccomp_policy
    names = {*policy.ALLOWED.split(), *policy.ALLOWED_WITH_FORKS.split(), *policy.RULES, *policy.RULES_WITH_FORKS}
    names |= {*policy.RULES_WITHOUT_FORKS, *" ".join(policy.REFUSED_OTHERWISE.values()).split()}
    x86_64, aarch64 = numbers_of("x86_64"), numbers_of("aarch64")
    assert names <= set(x86_64)
    assert names - set(aarch64) == set(ONLY_ON_X86_64.split())


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
def test_every_number_has_its_answer(machine: str, forks: bool) -> None:
    code, numbers = code_of(forks, machine), numbers_of(machine)
    allowed = seccomp_policy.ALLOWED + (seccomp_policy.ALLOWED_WITH_FORKS if forks else "")
    ruled = {*seccomp_policy.RULES, *seccomp_policy.RULES_WITHOUT_FORKS} - set(allowed.split())
    names = {number: name for name, number in numbers.items()}
    for number in range(600):
        name = names.get(number)
        if name in allowed.split():
            expected: str | int = "allow"
        elif name is None or name == "clone3":
            expected = errno.ENOSYS
        else:
            expected = errno.ENOTSUP if name in XATTR.split() else errno.EPERM
        if name not in ruled:
            assert answer(code, machine, number, [-1] * 6) == expected, name
            assert answer(code, machine, number) == expected, name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
def test_families_that_reach_outside_are_refused(machine: str, forks: bool) -> None:
    code, numbers = code_of(forks, machine), numbers_of(machine)
    names = REFUSED + (REFUSED_ON_X86_64 if machine == "x86_64" else "")
    assert {name for name in names.split() if answer(code, machine, numbers[name]) != errno.EPERM} == set()
    assert {name for name in XATTR.split() if answer(code, machine, numbers[name]) != errno.ENOTSUP} == set()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
def test_other_architectures_are_killed(machine: str, forks: bool) -> None:
    code = code_of(forks, machine)
    other = MACHINES[1 - MACHINES.index(machine)]
    for number in (0, 1, 57, 63, 435, 0x40000000):
        assert answer(code, other, number) == answer(code, "i386", number) == "kill"
    for number in (0x40000000, 0x40000000 + 39, 0x40000000 + 520, 0xFFFFFFFF):
        assert answer(code, machine, number) == "kill"


@pytest.mark.parametrize("machine", MACHINES)
def test_clone_makes_no_namespaces_and_without_forks_only_threads(machine: str) -> None:
    number = numbers_of(machine)["clone"]
    thread, fork, spawn = 0x3D0F00, 0x01200011, 0x4111
    with_forks, without = code_of(True, machine), code_of(False, machine)
    assert [answer(with_forks, machine, number, [flags]) for flags in (thread, fork, spawn)] == ["allow"] * 3
    answers = [answer(without, machine, number, [flags]) for flags in (thread, fork, spawn)]
    assert answers == ["allow", errno.EPERM, errno.EPERM]
    namespaces = (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
    parent, pidfd, traced = 0x8000, 0x1000, 0x2000
    for flag in (*namespaces, parent, pidfd, traced):
        for code in (with_forks, without):
            assert answer(code, machine, number, [fork | flag]) == errno.EPERM
            assert answer(code, machine, number, [thread | flag]) == errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["kill", "tkill", "tgkill"])
def test_without_forks_only_the_own_number_is_signalled(machine: str, name: str) -> None:
    code, number, pid = code_of(False, machine, 4711), numbers_of(machine)[name], 4711
    assert answer(code, machine, number, [pid, 9]) == "allow"
    for other in (0, 1, -1, -pid, pid + 1, pid - 1, -2147483648):
        assert answer(code, machine, number, [other, 9]) == errno.EPERM
    assert answer(code_of(True, machine), machine, number, [-1, 9]) == "allow"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize(
    ("name", "allowed", "refused", "error"),
    [
        ("prlimit64", [[0, 7]], [[1, 7], [-1, 7], [4711, 7]], errno.EPERM),
        ("sched_setaffinity", [[0, 8]], [[1, 8], [4711, 8]], errno.EPERM),
        ("sched_setscheduler", [[0, 3]], [[1, 3], [4711, 3]], errno.EPERM),
        ("setpriority", [[0, 0, 5]], [[0, 1, 5], [1, 0, 5], [2, 0, 5]], errno.EPERM),
        ("ioctl", [[0, 0x5401], [9, 0x541B], [0, 0x5413]], [[0, 0x5412], [0, 0x8901], [0, 0x5402]], errno.ENOTTY),
        # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ
        ("fcntl", [[0, 0], [0, 4], [0, 7], [0, 1030]], [[0, c] for c in (8, 10, 15, 1024, 1026, 1031)], errno.EPERM),
        # PR_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECCOMP, _CAPBSET_DROP, _SET_MM, _SET_CHILD_SUBREAPER, _SCHED_CORE
        ("prctl", [[15], [16], [38, 1]], [[option] for option in (1, 4, 22, 24, 35, 36, 59, 62)], errno.EPERM),
        ("socketpair", [[1, 1], [1, 0x80801]], [[1, 2], [1, 5], [2, 1], [10, 1], [16, 3]], errno.EPERM),
        ("sendto", [[3, 99, 1, 0, 0]], [[3, 99, 1, 0, 99], [3, 99, 1, 0, 1 << 32]], errno.EPERM),
    ],
)
def test_arguments_decide(
    machine: str, forks: bool, name: str, allowed: list[list[int]], refused: list[list[int]], error: int
) -> None:
    code, number = code_of(forks, machine, 4711), numbers_of(machine)[name]
    assert {answer(code, machine, number, arguments) for arguments in allowed} == {"allow"}
    assert {answer(code, machine, number, arguments) for arguments in refused} == {error}


def test_a_machine_without_a_table_is_named() -> None:
    with pytest.raises(OSError, match="not for s390x"):
        seccomp.build_filter(True, "s390x")


# The real thing


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("forks", [True, False])
def test_the_kernel_refuses_what_it_should(forks: bool, user: int) -> None:
    names = [name for name in (REFUSED + REFUSED_ON_X86_64).split() if name in NUMBERS]
    # Arguments that do harm nowhere, should a call get through.
    source = f"for name in {names}: print(name, refusal(call, name, -1, -1, -1, -1, -1, -1))"
    answers = dict(line.split() for line in run(source, forks=forks, user=user).splitlines())
    assert answers == dict.fromkeys(names, "EPERM")


@pytest.mark.parametrize("forks", [True, False])
def test_calls_that_libraries_probe_are_not_there(forks: bool) -> None:
    source = """
for number in (451, 452, 460, 511): print(refusal(kernel.syscall, number, -1))
print(refusal(call, "clone3", 0, 0), refusal(os.listxattr, "/"), refusal(os.setxattr, "/", "user.a", b""))
"""
    assert run(source, forks=forks).split() == ["ENOSYS"] * 5 + [errno.errorcode[errno.ENOTSUP]] * 2


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("forks", [True, False])
def test_no_sockets_but_connected_pairs(forks: bool, user: int) -> None:
    source = """
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET):
    print(refusal(socket.socket, family))
print(refusal(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM))
one, other = socket.socketpair()
one.sendall(b"hello")
print(other.recv(5).decode(), refusal(one.sendmsg, [b"x"]), refusal(one.bind, "/tmp/x"), refusal(one.connect, "/tmp/x"))
"""
    printed = run(source, "socket", forks, user).split()
    assert printed == ["EPERM"] * 6 + ["hello", "EPERM", "EPERM", "EPERM"]


@pytest.mark.parametrize("user", users())
def test_without_forks_a_program_is_one_process_that_reaches_no_other(user: int) -> None:
    source = """
parent, itself = os.getppid(), os.getpid()
print(refusal(os.fork), refusal(subprocess.run, ["/bin/true"]), refusal(os.execv, "/bin/true", ["true"]),
      refusal(os.posix_spawn, "/bin/true", ["true"], {}), refusal(os.setsid), refusal(os.setpgid, 0, 0))
print(os.system("true") != 0)
print(*(refusal(os.kill, pid, 0) for pid in (parent, 0, -1, 1, -itself)))
print(refusal(os.setpriority, os.PRIO_PROCESS, parent, 5), refusal(os.setpriority, os.PRIO_USER, 0, 5),
      refusal(os.sched_setaffinity, parent, {0}), refusal(resource.prlimit, parent, resource.RLIMIT_NOFILE),
      refusal(os.getpgid, parent), refusal(os.getsid, parent), refusal(os.sched_getscheduler, parent))
read, write = os.pipe()
print(refusal(fcntl.fcntl, read, fcntl.F_SETOWN, parent), refusal(fcntl.fcntl, read, fcntl.F_SETSIG, 9))
"""
    printed = run(source, "subprocess resource fcntl", False, user).split()
    assert printed == ["EPERM"] * 6 + ["True"] + ["EPERM"] * (5 + 7 + 2)


@pytest.mark.parametrize("user", users())
def test_without_forks_a_program_signals_itself(user: int) -> None:
    source = """
caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
signal.signal(signal.SIGALRM, lambda number, frame: caught.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
print(len(caught), os.getpgid(0) == os.getpgid(os.getpid()), os.getpriority(os.PRIO_PROCESS, 0), os.nice(1))
os.abort()
"""
    done = start(
        source.replace("\nos.abort", "\nimport sys; sys.stdout.flush()\nos.abort"), "signal threading", False, user
    )
    assert (done.stdout.split(), done.returncode) == (["4", "True", "0", "1"], -signal.SIGABRT), done.stderr


HONEST = [
    (
        "threads",
        "threading concurrent.futures.thread",
        """
threading.stack_size(64 << 20)
squares = []
workers = [threading.Thread(target=lambda n=n: squares.append(n * n)) for n in range(5)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(squares), sum(pool.map(abs, [-1, -2])))
""",
        "30 3",
    ),
    (
        "files",
        "tempfile os shutil mmap fcntl",
        """
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "a")
    with open(path, "w") as file: file.write("x" * 100)
    shutil.copy2(path, path + "b"); shutil.copytree(folder, folder + "/c"); os.replace(path, path + "d")
    os.symlink("ad", path + "e"); os.chmod(path + "d", 0o600); os.utime(path + "d"); os.truncate(path + "d", 90)
    with open(path + "d", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped: mapped[0] = ord("y")
    with open(path + "d", "r+b") as file: fcntl.lockf(file, fcntl.LOCK_EX)
    print(*sorted(os.listdir(folder)), open(path + "e").read().count("x"))
""",
        "ab ad ae c 89",
    ),
    ("decimals", "decimal", "decimal.getcontext().prec = 9; print(decimal.Decimal(2).sqrt())", "1.41421356"),
    (
        "asyncio",
        "asyncio concurrent.futures.thread",
        """
async def double(n):
    await asyncio.sleep(0.01)
    return 2 * n
async def main():
    inside = await asyncio.gather(*map(double, range(4)))
    return sum(inside), await asyncio.get_running_loop().run_in_executor(None, abs, -5)
print(*asyncio.run(main()))
""",
        "12 5",
    ),
    (
        "deep recursion",
        "sys threading",
        """
sys.setrecursionlimit(10**6)
def depth(n): return n and 1 + depth(n - 1)
threading.stack_size(256 << 20)
thread = threading.Thread(target=lambda: print(depth(50000)))
thread.start(); thread.join()
""",
        "50000",
    ),
    (
        "its own limits and clocks",
        "resource faulthandler select time random sys",
        """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
os.sched_setaffinity(0, os.sched_getaffinity(0)); faulthandler.enable(); select.poll().poll(1); time.sleep(0.01)
random.SystemRandom().random(); os.uname(); os.getlogin if sys.stdout.isatty() else resource.getrusage(0)
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard), time.process_time() > 0)
""",
        "True True",
    ),
    (
        "numpy",
        "",
        """
try: import numpy
except ImportError: print(200.0)
else: print((numpy.ones((200, 200)) @ numpy.ones((200, 200)))[7, 7])
""",
        "200.0",
    ),
]


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize(("name", "modules", "source", "expected"), HONEST, ids=[case[0] for case in HONEST])
def test_honest_programs_run(name: str, modules: str, source: str, expected: str, forks: bool, user: int) -> None:
    if name == "numpy" and user != users()[0]:
        pytest.skip("the interpreter's packages may not be theirs to read")
    assert run(source, modules, forks, user) == expected


def test_with_forks_processes_run() -> None:
    source = """
import signal
double = lambda n: 2 * n
if __name__ == "__main__":
    print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout.strip())
    with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, -2]))
    pid = os.fork()
    if pid == 0: signal.pause()
    os.kill(pid, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.posix_spawn("/bin/true", ["true"], {}) > 0, os.wait()[1])
    async def main():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(5)", stdout=-1)
        return (await process.communicate())[0].decode().strip()
    print(asyncio.run(main()))
"""
    printed = run(source, "subprocess sys multiprocessing multiprocessing.pool asyncio", True).splitlines()
    assert printed == ["42", "[1, 2]", "-15 True 0", "5"]


def test_a_fork_and_what_it_executes_stay_confined() -> None:
    source = """
code = "import socket\\ntry: socket.socket()\\nexcept PermissionError: print('refused')"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
print(refusal(kernel.unshare, kernel.CLONE_NEWUSER), refusal(kernel.mount, "none", "/tmp", "tmpfs"))
"""
    assert run(source, "subprocess sys", True).split() == ["refused", "EPERM", "EPERM"]


def test_privileges_of_files_are_gone() -> None:
    source = "print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])"
    assert run(source, forks=True) == run(source, forks=False) == "1"


@pytest.mark.skipif(kernel.MACHINE != "x86_64", reason="these are x86-64's other architectures")
def test_the_kernel_kills_calls_of_other_architectures() -> None:
    assert start("kernel.syscall(0x40000000 + 39)", forks=True).returncode == -signal.SIGSYS
    # mov eax, 20; int 0x80; ret: getpid of i386
    source = """
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() == os.getpid())
"""
    if start(source, "mmap ctypes").stdout.strip() != "True":
        pytest.skip("this kernel runs no 32-bit calls")
    assert start(source, "mmap ctypes", forks=True).returncode == -signal.SIGSYS


@pytest.mark.skipif(not seccomp.available(), reason="no seccomp filters here")
@pytest.mark.parametrize("forks", [True, False])
def test_installing_takes_a_fraction_of_a_fork(forks: bool) -> None:
    program = seccomp.build_filter(forks)
    seconds = statistics.median(_installation(program) for _ in range(20))
    assert seconds < 0.005, f"{seconds * 1e6:.0f} us"


def _installation(program: seccomp.Program) -> float:
    """Seconds in a process just forked."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            begin = time.perf_counter()
            seccomp.install(program)
            os.write(write, repr(time.perf_counter() - begin).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as answer_of_child:
        seconds = float(answer_of_child.read())
    os.waitpid(pid, 0)
    return seconds
