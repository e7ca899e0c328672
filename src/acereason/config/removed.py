"""Settings that are gone: what to set instead, and what they mean in the files of earlier runs."""

from __future__ import annotations

from typing import Any

REMOVED = {
    "grpo.importance_cap": "set grpo.correction=token_cap and grpo.correction_high to the cap, or leave it out if it "
    "is 0",
}
"""What to do instead of each, for messages."""


def translated(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that an earlier run saved with those that are gone in today's terms.

    Its checkpoints keep the file as it is: a reader could not change it without making them incomplete.
    """
    objective = tree.get("grpo")
    if not isinstance(objective, dict) or "importance_cap" not in objective:
        return tree
    cap = objective["importance_cap"]
    objective = {name: value for name, value in objective.items() if name != "importance_cap"}
    return {**tree, "grpo": objective | ({"correction": "token_cap", "correction_high": cap} if cap else {})}
