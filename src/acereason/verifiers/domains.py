"""The verifier of each domain."""

from __future__ import annotations

from acereason.errors import UserError
from acereason.problems.problem import DOMAINS
from acereason.verifiers.code.verifier import CodeVerifier
from acereason.verifiers.math.verifier import MathVerifier
from acereason.verifiers.verifier import Verifier


def check_domain(domain: str) -> None:
    """Raise UserError for a domain whose responses nothing can judge."""
    if domain not in DOMAINS:
        raise UserError(f"problems.domain={domain}: there is no such domain; there are {', '.join(DOMAINS)}")


def verifier_for(domain: str, sandbox: str = "") -> Verifier:
    """Return the verifier of a domain; raise UserError where there is none.

    Args:
        sandbox: `Sandbox.to_json()`, needed to judge code; not to find programs in responses.
    """
    check_domain(domain)
    if domain == "code":
        return CodeVerifier(sandbox)
    if domain == "math":
        return MathVerifier()
    raise UserError(f"problems.domain={domain}: has no verifier; add one to acereason/verifiers/domains.py")
