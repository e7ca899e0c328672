"""Which kinds of models can be trained, told from config.json alone: no weights, no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from acereason.config.known_models import KNOWN_MODELS
from acereason.errors import UserError

Values = Mapping[str, Any]

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
LOGIT_FACTORS = ("logit_scale", "logits_scaling", "lm_head_multiplier")
OTHER_INPUTS = ("vision_config", "audio_config", "text_config")
DROPOUTS = (
    *("attention_dropout", "hidden_dropout", "activation_dropout", "dropout"),
    *("attention_probs_dropout_prob", "hidden_dropout_prob", "attn_pdrop", "resid_pdrop", "embd_pdrop"),
)
LAYER_TYPES = {"full_attention", "sliding_attention"}
CHANGING_ROPES = {"dynamic", "longrope", "su"}


def check_family(path: str, values: Any = None) -> None:
    """Refuse a model that the policy cannot compute exactly, or whose weights no engine could be synced with.

    Args:
        path: `model.path`, a folder or a hub name.
        values: of its config.json; if None they are read from the folder, or known for the hub names of the recipes.

    Raises:
        UserError: the model is of such a kind; the message names its family and the reason.
    """
    if values is None:
        file = Path(path) / "config.json"
        values = json.loads(file.read_bytes()) if file.exists() else KNOWN_MODELS.get(path, {})
    for rule in RULES if isinstance(values, dict) else ():
        if reason := rule(values):
            raise refusal(path, values.get("model_type", "unknown"), reason)


def refusal(path: str | Path, family: str, reason: str) -> UserError:
    """Return the error that refuses a model."""
    return UserError(f"model.path={path}: cannot train models of family {family}: {reason}")


def _other_kind(values: Values) -> str:
    if values.get("is_encoder_decoder"):
        return "it has an encoder; take a decoder-only model"
    if found := [name for name in OTHER_INPUTS if values.get(name)]:
        return f"it is multimodal ({found[0]}); take a text-only model"
    if values.get("use_bidirectional_attention") or values.get("is_causal") is False:
        return "its tokens attend to later ones; take a causal model"
    return ""


def _weights(values: Values) -> str:
    if values.get("quantization_config"):
        return "its weights are quantised (quantization_config); take the model that is not"
    for name in EXPERTS:
        if (values.get(name) or 0) > 1:
            return f"it is a mixture of experts ({name}={values[name]}), whose weights engines store in their own ways"
    return ""


def _attention(values: Values) -> str:
    if values.get("kv_lora_rank"):
        return f"multi-head latent attention (kv_lora_rank={values['kv_lora_rank']}) is not supported"
    if values.get("alibi") or values.get("model_type") in ("bloom", "mpt"):
        return "attention biased by distance (ALiBi) is not supported"
    if values.get("model_type") == "gpt_oss":
        return "attention sinks are not supported"
    if values.get("attention_chunk_size"):
        return f"attention in chunks (attention_chunk_size={values['attention_chunk_size']}) is not supported"
    if others := set(values.get("layer_types") or []) - LAYER_TYPES:
        return f"layers of type {min(others)} are not supported"
    return ""


def _positions(values: Values) -> str:
    """Refuse rotary positions that change with the length of a row: a packed row is longer than its responses."""
    given = values.get("rope_parameters") or values.get("rope_scaling") or {}
    for rope in [given, *(inner for inner in given.values() if isinstance(inner, dict))]:
        if (kind := rope.get("rope_type", rope.get("type"))) in CHANGING_ROPES:
            return f"rotary positions of type {kind} change with the length of the row"
    return ""


def _logits(values: Values) -> str:
    for name in LOGIT_FACTORS:
        if values.get(name, 1) not in (1, None):
            return f"scaled logits ({name}={values[name]}) are not supported"
    if values.get("model_type") in ("cohere", "cohere2"):
        return "scaled logits (logit_scale) are not supported"
    return ""


def _dropout(values: Values) -> str:
    for name in DROPOUTS:
        if values.get(name):
            return f"{name}={values[name]} makes the policy's log-probs random; set it to 0 in config.json"
    return ""


RULES: tuple[Callable[[Values], str], ...] = (_other_kind, _weights, _attention, _positions, _logits, _dropout)
"""Each returns why a model is refused, or an empty text."""
