"""A real worker whose verifier does what the answer says; started in place of the worker's own program.

An answer is a word and, with some, a number: `spin`, `fill`, `keep 300`, `abort`, `count`.
"""

import os
import sys

from acereason.problems.problem import Problem
from acereason.verifiers.pool import worker
from acereason.verifiers.verifier import Verdict

kept: list[bytes] = []
judged = 0


class BurningVerifier:
    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass

    def judge(self, problem: Problem, answer: str) -> Verdict:
        global judged
        judged += 1
        word, _, number = answer.partition(" ")
        reason = getattr(self, word)(number)
        return Verdict(float(reason == "correct"), answer, reason, 0.001)

    def spin(self, number: str) -> str:
        while True:
            pass

    def fill(self, number: str) -> str:
        """As a good verifier does: it says itself that memory ran out."""
        pieces: list[bytes] = []
        try:
            while True:
                pieces.append(bytes(10_000))
        except MemoryError:
            return "memory"

    def keep(self, mebibytes: str) -> str:
        """As a cache does: the memory is not given back. Too much raises, as in a verifier that forgot to look."""
        kept.append(b"\1" * (int(mebibytes) * 2**20))
        return "correct"

    def abort(self, number: str) -> str:
        os.abort()

    def count(self, number: str) -> str:
        return f"{judged}"


if __name__ == "__main__":
    worker.verifier_for = lambda domain, sandbox="": BurningVerifier()  # type: ignore[assignment, return-value]
    worker.main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
