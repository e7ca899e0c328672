"""What a run would do, from its settings and the model's config.json alone: no weights, no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from acereason.config import Config


def _size(count: float) -> str:
    """Bytes in the unit that suits them."""
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def parameter_count(model: dict[str, Any]) -> int:
    """Parameters of a dense decoder of the Llama and Qwen2 kind, from its config.json."""
    width, layers = model["hidden_size"], model["num_hidden_layers"]
    heads = model["num_attention_heads"]
    head_width = model.get("head_dim") or width // heads
    kv_width = model.get("num_key_value_heads", heads) * head_width
    biased = model.get("attention_bias", model.get("model_type") == "qwen2")
    attention = 2 * width * heads * head_width + 2 * width * kv_width
    attention += (heads * head_width + 2 * kv_width) if biased else 0
    layer = attention + 3 * width * model["intermediate_size"] + 2 * width
    embeddings = model["vocab_size"] * width * (1 if model.get("tie_word_embeddings") else 2)
    return int(layers * layer + embeddings + width)


def plan_lines(config: Config) -> list[str]:
    """The plan as lines of text."""
    curriculum, world = config.curriculum, config.trainer.devices * config.trainer.num_nodes
    responses = curriculum.prompts_per_step * curriculum.rollouts_per_prompt
    lines = [
        f"recipe       {config.recipe}, seed {config.seed}",
        f"problems     {config.problems.path} ({config.problems.domain.value}), {config.problems.held_out} held out",
        f"steps        {config.trainer.max_steps} rollout steps of {curriculum.prompts_per_step} prompts × "
        f"{curriculum.rollouts_per_prompt} rollouts, {config.grpo.updates_per_batch} update(s) each",
        f"responses    up to {curriculum.max_response_tokens:,} tokens at temperature {curriculum.temperature:g}, "
        f"at most {responses * curriculum.max_response_tokens:,} tokens a step",
        f"ranks        {world} ({config.trainer.num_nodes} node(s) × {config.trainer.devices})",
        f"learning     AdamW at {curriculum.learning_rate:g}, gradients clipped at {config.optimizer.max_grad_norm:g}",
        f"run folder   {Path(config.run.root) / config.run.name}",
    ]
    file = Path(config.model.path) / "config.json"
    if not file.exists():
        return [*lines, f"model        {config.model.path} (on the hub; not looked up)"]
    count = parameter_count(json.loads(file.read_text()))
    shard = count * 4 / world
    return [
        *lines,
        f"model        {config.model.path}, {count:,} parameters",
        f"memory       a rank: weights {_size(shard)}, gradients {_size(shard)}, optimizer {_size(2 * shard)}",
    ]


def print_plan(config: Config) -> None:
    """Prints the plan."""
    print("\n".join(plan_lines(config)), flush=True)
