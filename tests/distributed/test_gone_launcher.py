"""What fails because the launcher is gone, such as a store that it hosted, is not taken for the cause."""

import subprocess
import sys
from pathlib import Path

from fresh_process import fresh_environment

RANK = """
import os, sys, time
from acereason.distributed.lifeline import Lifeline
parent = os.getppid()
lifeline = Lifeline(launched=True)
lifeline.listen()
print("ready", flush=True)
while os.getppid() == parent:
    time.sleep(0.001)
lifeline.fail("rank 0 failed: the store is gone")
time.sleep(30)
"""
LAUNCHER = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {RANK!r}])
time.sleep(60)
"""


def test_a_failure_that_a_gone_launcher_brings_about_gives_way_to_it() -> None:
    env = fresh_environment(PYTHONPATH=str(Path("src").resolve()))
    command = [sys.executable, "-c", LAUNCHER]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout and launcher.stderr
        assert launcher.stdout.readline() == "ready\n"
        launcher.kill()
        said = launcher.stderr.read()  # ends when the rank does
    assert said == "error: the program that started rank 0 is gone\n"
