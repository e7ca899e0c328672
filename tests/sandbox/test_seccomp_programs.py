import errno
import os
import signal
import statistics
import time

import pytest
from confined import NUMBERS, run, start, users
from refused_calls import REFUSED, REFUSED_ON_X86_64

from acereason.sandbox import kernel, seccomp


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
while len(caught) < 4: time.sleep(0.01)
print(os.getpgid(0) == os.getpgid(os.getpid()), os.nice(1) - os.nice(0), flush=True)
os.abort()
"""
    done = start(source, "signal threading time", False, user)
    assert (done.stdout.split(), done.returncode) == (["True", "0"], -signal.SIGABRT), done.stderr


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
    os.symlink("ad", path + "e"); os.chmod(path + "d", 0o600); os.utime(path + "d");
    with open(path + "d", "r+b") as file: file.truncate(90)
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
random.SystemRandom().random(); os.uname(); resource.getrusage(0); sys.stdout.isatty()
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


def _installation(program: seccomp.Filter) -> float:
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
