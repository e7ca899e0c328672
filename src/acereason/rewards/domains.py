"""Which verifier judges which domain."""

from __future__ import annotations

from acereason.errors import UserError
from acereason.problems.problem import DOMAINS
from acereason.rewards.math.verifier import MathVerifier
from acereason.rewards.verifier import Verifier


def check_domain(domain: str) -> None:
    """Raise UserError for a domain whose responses nothing can judge."""
    if domain not in DOMAINS:
        raise UserError(f"problems.domain={domain}: there is no such domain; use problems.domain=math")
    if domain != "math":
        raise UserError(
            f"problems.domain={domain}: {domain} rewards need the sandbox, which this version does not have; "
            "use problems.domain=math"
        )


def verifier_for(domain: str) -> Verifier:
    """The verifier of a domain; raises UserError where there is none."""
    check_domain(domain)
    return MathVerifier()
