"""Create the virtual environment and install the pinned CPU packages and this package into it, once.

    python3 scripts/install.py [ENVIRONMENT]        (default .venv; `make install` calls it)

A stamp inside the environment records what was installed; while it matches, nothing is done and nothing is printed.
The syntax is kept old, so that an old interpreter says what is wrong instead of raising a syntax error.
"""

import hashlib
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "cpu.lock"
MINIMUM = (3, 11)

# The "+cpu" matches nothing on indexes that carry only the CUDA build, so that one is never downloaded by mistake.
TORCH = "torch==2.13.0+cpu"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

# An index that does not answer is given up after about half a minute, not after pip's five tries.
PIP = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--timeout", "15", "--retries", "1"]


def fail(message):
    print("install: " + message, file=sys.stderr)
    raise SystemExit(1)


def digest(*parts):
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def fingerprints():
    """Return a digest of the pinned packages and one of this package's metadata and the path of its checkout."""
    packages = digest(LOCK.read_bytes(), TORCH.encode())
    return [packages, digest((ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode())]


def check_version(python, version):
    """Fail, saying what to do instead, if `version`, such as (3, 11), is too old."""
    if version < MINIMUM:
        found = ".".join(str(part) for part in version)
        fail(f"{python} is Python {found}; 3.11 or newer is needed, for example: make PYTHON=python3.11 VENV=.venv311")


def create(environment):
    """Create a virtual environment with the interpreter that runs this script."""
    check_version(sys.executable, sys.version_info[:2])
    print(f"Creating {environment} with Python {platform.python_version()}", flush=True)
    result = subprocess.run([sys.executable, "-m", "venv", str(environment)], text=True, capture_output=True)
    if result.returncode:
        fail(f"{sys.executable} -m venv did not work:\n{(result.stdout + result.stderr).strip()}")


def check_environment(python):
    """Check that the environment's Python is new enough; add pip if it is missing."""
    asked = "import sys; print(*sys.version_info[:2])"
    version = subprocess.check_output([python, "-c", asked], text=True)
    check_version(python, tuple(int(part) for part in version.split()))
    if subprocess.run([python, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode:
        result = subprocess.run([python, "-m", "ensurepip", "--default-pip"], text=True, capture_output=True)
        if result.returncode:
            fail(f"{python} has no pip and could not get it:\n{result.stderr.strip()}")


def pip_install(python, arguments, log):
    """Run `pip install` with its output in `log`, counting packages on a terminal; return whether it succeeded."""
    command = [python, *PIP, *arguments]
    log.write("$ " + " ".join(command) + "\n")
    count = 0
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            log.write(line)
            log.flush()
            count += line.startswith(("Collecting ", "Requirement already satisfied"))
            if sys.stdout.isatty():
                label = "unpacking" if line.startswith("Installing") else f"package {count}"
                print(f"\r  {label:<20}\r", end="", flush=True)
    return process.returncode == 0


def install_torch(python, log):
    """Install the CPU build from the indexes that pip is configured with, or else from PyTorch's own."""
    if pip_install(python, ["--no-deps", TORCH], log):
        return True
    print(f"  not on the configured indexes, trying {TORCH_CPU_INDEX}", flush=True)
    if pip_install(python, ["--no-deps", "--index-url", TORCH_CPU_INDEX, TORCH], log):
        return True
    print("  neither has it: set PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL to a place that does", flush=True)
    return False


def steps(python, packages_done):
    """Return (title, function of the log) for each step; no step resolves dependencies, since the lock is complete."""
    pins = sum("==" in line and not line.startswith("#") for line in LOCK.read_text().splitlines())
    lock = ["--no-deps", "-r", str(LOCK)]
    package = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    packages = [
        (f"{TORCH} (200 MB)", lambda log: install_torch(python, log)),
        (f"{pins} packages of requirements/cpu.lock (1 to 3 minutes)", lambda log: pip_install(python, lock, log)),
    ]
    return [*([] if packages_done else packages), ("acereason itself", lambda log: pip_install(python, package, log))]


def run_steps(todo, log_path):
    """Run the steps in turn; if one fails, end the program and show the end of its log."""
    with log_path.open("w") as log:
        for number, (title, step) in enumerate(todo, 1):
            started = time.monotonic()
            print(f"[{number}/{len(todo)}] {title}", flush=True)
            if not step(log):
                log.flush()
                tail = "\n".join("  " + line for line in log_path.read_text().splitlines()[-12:])
                fail(f"{title} did not install; the end of {log_path}:\n{tail}")
            seconds = f"  {time.monotonic() - started:.0f} s"
            print(seconds.ljust(24) if sys.stdout.isatty() else seconds, flush=True)


def main():
    environment = Path(sys.argv[1] if len(sys.argv) > 1 else ".venv").absolute()
    stamp, python = environment / ".installed", environment / "bin" / "python"
    wanted = fingerprints()
    found = stamp.read_text().split() if stamp.is_file() else []
    if found == wanted:
        return
    if platform.system() != "Linux":
        fail("the pinned CPU packages are built for Linux; use Linux, WSL or a container.")
    if not python.exists():
        create(environment)
    check_environment(str(python))
    stamp.unlink(missing_ok=True)
    run_steps(steps(str(python), packages_done=found[:1] == wanted[:1]), environment / "install.log")
    stamp.write_text("\n".join(wanted))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\ninstall: interrupted; the same command continues where it stopped.") from None
