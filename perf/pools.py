"""The verifier pools and problems that the scripts about math and code use."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future

from acereason.config.schema import SandboxConfig
from acereason.problems.problem import Problem
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

MEMORY_MIB = 2048


def math_pool(workers: int, timeout_seconds: float = 5.0, memory_mib: int = MEMORY_MIB) -> VerifierPool:
    """Return a pool that judges math answers."""
    return VerifierPool(workers, timeout_seconds, memory_mib)


def code_pool(workers: int, sandbox: SandboxConfig | None = None) -> VerifierPool:
    """Return a pool that judges programs in the sandbox; the limits of programs are those of the sandbox."""
    return VerifierPool(workers, 60.0, MEMORY_MIB, domains=("code",), sandbox=sandbox or SandboxConfig())


def submit_math(pool: VerifierPool, golds: Iterable[str], responses: Iterable[str]) -> list[Future[Verdict]]:
    """Hand responses to math problems over for judgement, each with the gold answer of its problem."""
    return [
        pool.submit(Problem(str(number), "math", "", answer=gold), response)
        for number, (gold, response) in enumerate(zip(golds, responses, strict=True))
    ]


def boxed(answer: str) -> str:
    """Return the end of a response: the answer in a box, after the thinking."""
    return f"</think>\nIt is $\\boxed{{{answer}}}$."
