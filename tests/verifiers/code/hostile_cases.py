"""Programs that try to forge a pass, to reach what is outside or to exhaust the machine: run them in the sandbox alone.

All have to add: two numbers of standard input, or `add(3, 4)`, called by a test or by test source. One that says
`passed` here has reached nothing: it prints what it reached in place of the sum.
"""

from textwrap import dedent, indent
from typing import NamedTuple

PASSED = ("passed",)
WRONG_ANSWER = ("wrong_answer",)
RUNTIME_ERROR = ("runtime_error",)
TIMEOUT = ("timeout",)
MEMORY = ("memory",)
OUTPUT_LIMIT = ("output_limit",)
NO_ANSWER = ("wrong_answer", "runtime_error")
NO_FORKS = ("passed", "timeout", "runtime_error", "memory")
"""Of those who start processes: where they may not, they answer."""
CHECK = "def check(candidate):\n    assert candidate(3, 4) == 7\ncheck(add)\n"


class Hostile(NamedTuple):
    """One program: its problem is of kind `stdin`, `call` or `check`; `reasons` are those that a verdict may have."""

    name: str
    kind: str
    code: str
    reasons: tuple[str, ...]


def stdin(name: str, code: str, reasons: tuple[str, ...]) -> Hostile:
    return Hostile(name, "stdin", dedent(code), reasons)


def call(name: str, code: str, reasons: tuple[str, ...]) -> Hostile:
    return Hostile(name, "call", dedent(code), reasons)


def check(name: str, code: str, reasons: tuple[str, ...]) -> Hostile:
    return Hostile(name, "check", dedent(code), reasons)


_ATTEMPT = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
found = []
def attempt(what, action, *arguments):
    try:
        result = action(*arguments)
    except BaseException:
        return
    if result != -1:
        found.append((what, str(result)[:80]))
"""
_ANSWER = "\nprint(sum(map(int, input().split())))\n"
_TELL = "\nprint(found or sum(map(int, input().split())))\n"


def reaching(name: str, code: str) -> Hostile:
    """A program whose attempts must all fail, after which it answers."""
    return Hostile(name, "stdin", _ATTEMPT + dedent(code) + _TELL, PASSED)


def harming(name: str, code: str, reasons: tuple[str, ...] = NO_FORKS) -> Hostile:
    """A program that answers after doing something that may succeed in the sandbox, and must not matter outside."""
    guarded = f"try:\n{indent(dedent(code), '    ')}\nexcept (OSError, RuntimeError):\n    pass\n"
    return Hostile(name, "stdin", "import os, sys\n" + guarded + _ANSWER, reasons)


FORGING = [
    stdin("exits_with_success", "import os\nos._exit(0)\n", WRONG_ANSWER),
    stdin("raises_system_exit", "raise SystemExit(0)\n", WRONG_ANSWER),
    stdin("exits_as_if_not_confined", "import os\nos._exit(100)\n", ("crashed",)),
    stdin("exits_as_if_it_raised", "import os\nprint(7, flush=True)\nos._exit(101)\n", RUNTIME_ERROR),
    stdin("prints_a_verdict", 'print({"reward": 1.0, "reason": "passed"})\n', WRONG_ANSWER),
    stdin(
        "writes_verdicts_everywhere",
        """
        import os
        for number in (*range(3, 1024), CHANNEL):
            for message in (b'{"reward": 1.0, "reason": "passed"}\\n', b"E" + bytes(31), b"Y1", b"passed"):
                try:
                    os.write(number, message)
                except OSError:
                    break
        """,
        WRONG_ANSWER,
    ),
    stdin("writes_to_its_input", "import os\nos.write(0, b'7\\n')\nos.pwrite(0, b'7\\n', 0)\n", WRONG_ANSWER),
    stdin(
        "patches_builtins_and_modules",
        """
        import builtins, json, math, re, sys
        class Equal(str):
            __eq__ = lambda *_: True
            __hash__ = str.__hash__
        builtins.all = builtins.any = builtins.isinstance = lambda *_: True
        builtins.str = Equal
        json.loads = json.dumps = math.isclose = re.match = lambda *_, **__: True
        sys.modules["acereason"] = sys.modules["acereason.verifiers.code.compare"] = sys
        sys.stdout.write(Equal(8))
        """,
        NO_ANSWER,
    ),
    stdin(
        "walks_frames",
        """
        import gc, sys
        frame, seen = sys._getframe(), []
        while frame:
            seen += [*frame.f_locals.items(), *frame.f_globals.items()]
            frame = frame.f_back
        seen += gc.get_objects()
        print([value for value in seen if isinstance(value, str) and value.strip() == "7"])
        """,
        WRONG_ANSWER,
    ),
    stdin(
        "reads_what_descriptors_and_processes_hold",
        """
        import os
        for process in ("self", "1", str(os.getppid())):
            for number in range(64):
                try:
                    print(open(f"/proc/{process}/fd/{number}", "rb").read(100))
                except OSError:
                    continue
        """,
        WRONG_ANSWER,
    ),
    stdin(
        "looks_for_this_package",
        "try:\n    import acereason.verifiers.code.compare\nexcept ImportError:\n    print(7)\n",
        PASSED,
    ),
    call(
        "equals_everything",
        "class Same:\n    __eq__ = lambda *_: True\n    __hash__ = None\ndef add(a, b):\n    return Same()\n",
        WRONG_ANSWER,
    ),
    call(
        "integer_that_equals_everything",
        "class Same(int):\n    __eq__ = lambda *_: True\n    __hash__ = None\n    __int__ = __index__ = lambda _: 7\n"
        "def add(a, b):\n    return Same(8)\n",
        WRONG_ANSWER,
    ),
    call("true_for_a_number", "def add(a, b):\n    return True\n", WRONG_ANSWER),
    call("verdict_as_a_value", "def add(a, b):\n    return {'reason': 'passed', 'reward': 1}\n", WRONG_ANSWER),
    call(
        "verdict_of_an_examiner",
        """
        import json, os
        def add(a, b):
            message = b"d" + json.dumps({"failed": "", "raised": False, "calls": 1}).encode()
            os.write(CHANNEL, len(message).to_bytes(4, "little") + message)
            os._exit(0)
        """,
        NO_ANSWER,
    ),
    call(
        "message_that_is_none",
        "import os\ndef add(a, b):\n    os.write(CHANNEL, b'\\1\\0\\0\\0v')\n    return 8\n",
        NO_ANSWER,
    ),
    call(
        "message_of_4_gib",
        "import os\ndef add(a, b):\n    os.write(CHANNEL, b'\\377' * 4)\n    return 7\n",
        OUTPUT_LIMIT,
    ),
    call(
        "message_that_ends_early",
        "import os\ndef add(a, b):\n    os.write(CHANNEL, b'\\77\\0\\0\\0v{')\n    os._exit(0)\n",
        NO_ANSWER,
    ),
    call("hangs_up", "import os, time\ndef add(a, b):\n    os.close(CHANNEL)\n    time.sleep(60)\n", RUNTIME_ERROR),
    call("exits_in_the_call", "import os\ndef add(a, b):\n    os._exit(0)\n", NO_ANSWER),
    call("interrupts", "def add(a, b):\n    raise KeyboardInterrupt\n", RUNTIME_ERROR),
    call(
        "answers_in_pieces_to_gain_time",
        """
        import os, time
        def add(a, b):
            size, written = 60_000, 8 * 4_000
            os.write(CHANNEL, size.to_bytes(4, "little") + b'v{"v": 7')
            for _ in range(8):
                if os.fork() == 0:
                    for _ in range(4_000):
                        os.write(CHANNEL, b" ")
                        time.sleep(0.002)
                    os._exit(0)
            for _ in range(8):
                os.wait()
            os.write(CHANNEL, b" " * (size - written - 9) + b"}")
            time.sleep(60)
        """,
        (*TIMEOUT, *RUNTIME_ERROR),
    ),
    call(
        "reads_in_pieces_to_gain_time",
        "import os, time\nwhile True:\n    os.read(CHANNEL, 1)\n    time.sleep(0.001)\n",
        TIMEOUT,
    ),
    check(
        "check_equals_everything",
        "class Same:\n    __eq__ = lambda *_: True\nadd = lambda a, b: Same()\n",
        WRONG_ANSWER,
    ),
    check("check_exits", "def add(a, b):\n    raise SystemExit(0)\n", RUNTIME_ERROR),
    check("check_exits_at_once", "import os\nos._exit(0)\n", RUNTIME_ERROR),
    check(
        "check_overwritten",
        "def check(candidate):\n    pass\ncandidate = check\ndef add(a, b):\n    return 8\n",
        WRONG_ANSWER,
    ),
    check(
        "check_raises_what_is_no_exception",
        "def add(a, b):\n    raise type('SystemExit', (Exception,), {})()\n",
        RUNTIME_ERROR,
    ),
    check(
        "check_is_sent_a_verdict",
        """
        import os
        def add(a, b):
            message = b'd{"failed": "", "raised": false, "calls": 1}'
            os.write(CHANNEL, len(message).to_bytes(4, "little") + message)
            os._exit(0)
        """,
        NO_ANSWER,
    ),
    check(
        "check_is_sent_an_unknown_class",
        """
        import os
        def add(a, b):
            message = b'v{"v": {"r": 0}, "o": [["RemoteFunction", {"calls": 1, "__eq__": true}]]}'
            os.write(CHANNEL, len(message).to_bytes(4, "little") + message)
            os._exit(0)
        """,
        NO_ANSWER,
    ),
]

REACHING = [
    reaching(
        "reads_files",
        """
        for path in (FILE, "/etc/passwd", "/etc/hostname", "/bin/sh", "/proc/1/environ", "/proc/self/root" + FILE,
                     f"/proc/{JUDGE}/environ", f"/proc/{JUDGE}/cwd/setup.py", "/proc/cpuinfo", "/sys/kernel/notes"):
            attempt(path, lambda: open(path, "rb").read(40))
        for path in (FOLDER, "/etc", "/var", "/sys", "/dev/shm"):
            attempt(path, lambda: os.listdir(path) or -1)
        """,
    ),
    reaching(
        "writes_files",
        """
        library = os.path.dirname(os.__file__)
        for folder in (FOLDER, "/", "/etc", "/usr", "/var/tmp", "/dev/shm", "/dev", "/root", "/home", library):
            path = os.path.join(folder, TOKEN)
            attempt(path, lambda: open(path, "x"))
            attempt(path, os.mkdir, path)
            attempt(path, os.mkfifo, path)
            attempt(path, os.symlink, FILE, path)
            attempt(path, os.link, "/dev/null", path)
        for mode in ("r+", "a", "w"):
            attempt(mode, open, FILE, mode)
        attempt("truncate", os.truncate, FILE, 0)
        attempt("unlink", os.unlink, FILE)
        attempt("rename", os.rename, FILE, FILE + "." + TOKEN)
        attempt("rename", os.rename, FOLDER, "here")
        attempt("link", os.link, FILE, "here")
        """,
    ),
    reaching(
        "changes_what_files_are",
        """
        for path in (FILE, FOLDER, "/dev/null", os.__file__, "/etc/passwd", "/"):
            attempt(f"chmod {path}", lambda: os.chmod(path, os.stat(path).st_mode & 0o7777))
            attempt(f"chown {path}", lambda: os.chown(path, os.getuid(), os.getgid()))
            attempt(f"utime {path}", lambda: os.utime(path, ns=(os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns)))
        attempt("chmod", os.chmod, FILE, 0o600)
        null = os.open("/dev/null", os.O_RDWR)
        attempt("fchmod", lambda: os.fchmod(null, os.fstat(null).st_mode & 0o7777))
        attempt("fchmod 2", lambda: os.fchmod(2, os.fstat(2).st_mode & 0o7777))
        found.clear()  # these may seem to work: whether they do is seen outside
        """,
    ),
    reaching(
        "connects",
        """
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for address in (("127.0.0.1", PORT), ("10.0.0.1", 53)):
                attempt(address, lambda: socket.socket(socket.AF_INET, kind).connect(address))
            attempt("sendto", lambda: socket.socket(socket.AF_INET, kind).sendto(b"x", ("127.0.0.1", PORT)))
        for address in (SOCKET, ABSTRACT):
            attempt(address, lambda: socket.socket(socket.AF_UNIX).connect(address))
        attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
        attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0)))
        attempt("listen", lambda: socket.create_server(("0.0.0.0", 0)))
        """,
    ),
    reaching(
        "looks_at_other_processes",
        """
        for process in (os.getppid(), JUDGE, BYSTANDER):
            for name in ("mem", "environ", "maps", "fd/0", "fd/3", "cwd/x", "root/etc/passwd"):
                attempt(f"{process} {name}", lambda: open(f"/proc/{process}/{name}", "rb").read(1))
            attempt("ptrace", libc.ptrace, 16, process, 0, 0)
            attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, process, 19))
            attempt("limit", lambda: __import__("resource").prlimit(process, 7, (4, 4)))
            attempt("affinity", lambda: os.sched_setaffinity(process, {0}))
        attempt("all", lambda: os.setpriority(os.PRIO_USER, 0, 19))
        """,
    ),
    reaching(
        "gains_rights",
        """
        import resource
        for user in (0, 1, 65534):
            if user != os.getuid():
                attempt("setuid", os.setuid, user)
                attempt("setgid", os.setgid, user)
        attempt("groups", os.setgroups, [0])
        attempt("chroot", os.chroot, ".")
        attempt("mount", libc.mount, b"x", b"/tmp", b"tmpfs", 0, None)
        attempt("umount", libc.umount2, b"/tmp", 2)
        attempt("host name", socket.sethostname, TOKEN)
        for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
            attempt("unshare", libc.unshare, flag)
        for name in ("AS", "CPU", "FSIZE", "NOFILE", "CORE", "STACK"):
            limit = getattr(resource, "RLIMIT_" + name)
            hard = resource.getrlimit(limit)[1]
            attempt(name, lambda: resource.setrlimit(limit, (hard + 1, hard + 1)))
        attempt("device", lambda: os.mknod("device", 0o20666, os.makedev(1, 3)))
        """,
    ),
    reaching(
        "leaves_shared_memory",
        """
        attempt("shm", libc.shmget, SHARED_KEY, 4096, 0o1666)
        attempt("sem", libc.semget, SHARED_KEY, 1, 0o1666)
        attempt("msg", libc.msgget, SHARED_KEY, 0o1666)
        attempt("keys", libc.syscall, 248, b"user", TOKEN.encode(), b"x", 1, -4)
        """,
    ),
    reaching(
        "reads_the_environment",
        """
        known = {"PATH", "HOME", "LANG", "PYTHONHASHSEED", "LC_CTYPE"}
        attempt("environ", lambda: {name for name in set(os.environ) - known if "_NUM_THREADS" not in name} or -1)
        """,
    ),
]

HARMING = [
    harming(
        "leaves_processes",
        """
        import time
        for number in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.closerange(0, 64)
                    time.sleep(600)
                os._exit(0)
        """,
    ),
    harming(
        "leaves_processes_of_a_thread",
        """
        import threading, time
        def start():
            try:
                if os.fork() == 0:
                    time.sleep(600)
            except OSError:
                pass
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        """,
    ),
    harming(
        "kills_everyone",
        """
        import signal
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL):
            for process in (1, os.getppid(), JUDGE, BYSTANDER, -1, -BYSTANDER, -JUDGE):
                try:
                    os.kill(process, number)
                except OSError:
                    continue
        """,
    ),
    harming("kills_its_group", "import signal\nos.killpg(0, signal.SIGKILL)\n", ("passed", "memory", "runtime_error")),
    harming("stops_itself", "import signal\nos.kill(os.getpid(), signal.SIGSTOP)\n", TIMEOUT),
    harming("closes_everything", "os.closerange(3, __import__('resource').getrlimit(7)[0])\n", PASSED),
    harming("hides_in_a_session", "os.setsid()\n", PASSED),
    harming(
        "plants_modules",
        """
        for name in ("json", "marshal", "sitecustomize", "usercustomize", "numpy"):
            open(name + ".py", "w").write("raise SystemExit(0)")
        """,
        PASSED,
    ),
]

EXHAUSTING = [
    stdin(
        "fork_bomb", "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n", TIMEOUT
    ),
    stdin(
        "thread_bomb",
        """
        import threading, time
        count = 0
        try:
            while True:
                threading.Thread(target=time.sleep, args=(600,)).start()
                count += 1
        except RuntimeError:
            print(count, flush=True)
        """,
        TIMEOUT,
    ),
    stdin("sleeps", "import time\ntime.sleep(600)\n", TIMEOUT),
    stdin(
        "is_deaf",
        """
        import signal, time
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            pass
        """,
        TIMEOUT,
    ),
    stdin("allocates", "held = []\nwhile True:\n    held.append(bytearray(b'x') * (1 << 22))\n", MEMORY),
    stdin(
        "shares_memory",
        "import mmap, time\nheld = mmap.mmap(-1, 400 << 20)\n"
        "for at in range(0, len(held), 4096):\n    held[at] = 1\nprint(7, flush=True)\ntime.sleep(600)\n",
        MEMORY,
    ),
    *(
        stdin(
            f"allocates_{how}",
            f"""
            import mmap, os, threading, time
            def hoard():
                held = {memory}
                for at in range(0, len(held), 4096):
                    held[at] = 1
                time.sleep(600)
            def start():
                try:
                    for _ in range(6):
                        if os.fork() == 0:
                            hoard()
                except OSError:  # one process has to do it all
                    held = [bytearray(b"x") * (1 << 22) for _ in range(200)]
            {start}
            time.sleep(600)
            """,
            MEMORY,
        )
        for how, memory, start in [
            ("in_children", "bytearray(120 << 20)", "start()"),
            ("in_children_of_a_thread", "bytearray(120 << 20)", "threading.Thread(target=start).start()"),
            ("shared_in_children", "mmap.mmap(-1, 120 << 20)", "start()"),
        ]
    ),
    stdin("prints_without_end", "while True:\n    print('x' * 65536)\n", OUTPUT_LIMIT),
    stdin("output_of_a_pebibyte", "import os\nos.ftruncate(1, 1 << 50)\n", (*OUTPUT_LIMIT, *RUNTIME_ERROR)),
    stdin("complains_without_end", "import sys\nwhile True:\n    sys.stderr.write('x' * 65536)\n", TIMEOUT),
    stdin("crashes", "import ctypes\nctypes.string_at(0)\n", RUNTIME_ERROR),
    harming(
        "opens_everything",
        """
        import resource
        held = []
        while len(held) < 5000:
            held.append(os.open("/dev/null", os.O_RDONLY))
        """,
        PASSED,
    ),
    harming(
        "digs_folders",
        """
        for _ in range(700):
            os.mkdir("deeper")
            os.chdir("deeper")
        open("file", "w").close()
        os.chmod("file", 0)
        os.chmod(".", 0)
        """,
        (*PASSED, *OUTPUT_LIMIT),
    ),
    harming(
        "files_without_number", "for n in range(4_500):\n    open(str(n), 'w').close()\n", (*PASSED, *OUTPUT_LIMIT)
    ),
    call(
        "value_that_holds_itself", "def add(a, b):\n    held = []\n    held.append(held)\n    return held\n", NO_ANSWER
    ),
    call("value_without_end", "def add(a, b):\n    while True:\n        yield 7\n", NO_ANSWER),
    call("value_of_64_mib", "def add(a, b):\n    return '7' * (64 << 20)\n", OUTPUT_LIMIT),
    call("keys_that_collide", "def add(a, b):\n    return {k * (2**61 - 1): 7 for k in range(1200)}\n", NO_ANSWER),
    call("sleeps_in_the_call", "import time\ndef add(a, b):\n    time.sleep(600)\n", TIMEOUT),
]

CASES = [*FORGING, *REACHING, *HARMING, *EXHAUSTING]
SLOW = {case.name for case in CASES if "timeout" in case.reasons and case.name not in ("is_deaf", "fork_bomb")}
"""Those that run into the limit of time, which is kept by the same code in every kind of sandbox."""

# What a program changes for itself must not be there for the next one: LOOK says what it finds.

LOOK = """
import os, resource, signal, sys
def tried(action, *arguments):
    try:
        return action(*arguments)
    except OSError as error:
        return error.strerror
def written():
    with open("x.txt", "x") as file:
        file.write("x")
    os.unlink("x.txt")
    return "written"
print(tried(sys.stdin.read), tried(lambda: open("/dev/stdin").read()), tried(os.listdir, "."), tried(written))
print([oct(os.stat(file).st_mode) for file in (0, 1, 2, ".")], os.getcwd(), os.umask(0), sorted(os.environ))
print(os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_NOFILE))
print([str(signal.getsignal(number)) for number in range(1, 32)], len(sys.modules))
"""
POISONS = {
    "files": "import os\nopen('x.txt', 'w').write('x')\nos.mkdir('folder')\nos.symlink('/', 'link')\n",
    "folders_without_rights": "import os\nos.makedirs('a/b/c')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\n",
    "full_folder": "open('x.txt', 'wb').write(bytes(1 << 19))\nopen('y.txt', 'wb').write(bytes(1 << 30))\n",
    "rights_of_the_folder": "import os\nos.chmod('.', 0)\n",
    "times_of_the_folder": "import os\nos.utime('.', (1, 1))\n",
    "rights_of_the_input": "import os\nos.fchmod(0, 0)\n",
    "rights_of_the_output": "import os\nos.fchmod(1, 0)\n",
    "output": "import os\nfor file in (0, 1):\n    os.lseek(file, 99, 0)\n    os.write(file, b'left over')\n",
    "flags": "import os\nfrom fcntl import *\nfor file in 0, 1:\n    fcntl(file, F_SETFL, os.O_APPEND | os.O_SYNC)\n",
    "locks": "from fcntl import *\nfor file in (0, 1):\n    flock(file, LOCK_EX)\n    lockf(file, LOCK_EX)\n",
    "itself": "import os, resource, signal\nos.nice(5)\nos.umask(0o777)\nos.environ['X'] = 'x'\nos.chdir('/')\n"
    "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\nresource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\n"
    "signal.signal(15, signal.SIG_IGN)\nimport random\nrandom.seed(5)\n",
    "everyone": "import os\nos.kill(-1, 19)\nos.kill(-1, 9)\n",
}
