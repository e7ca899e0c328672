"""Tiny random models of many families, in Hugging Face format, with the laptop policy's tokenizer."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from acereason.config.schema import EngineName
from perf.script import ROOT

TOKENIZER = ROOT / "models" / "laptop"
WINDOW = 16
"""Tokens of sliding windows: less than a prompt of the laptop's problems and its response."""
SIZES: dict[str, Any] = {
    **{"vocab_size": 272, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 256},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 0, "tie_word_embeddings": False},
}
NOISE = 0.1
"""Standard deviation added to initial weights, so that what a model leaves out shows in its log-probs."""


@dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        model_type: the one of config.json.
        shown: what is special about it, in words.
        values: of its config.json, over `SIZES`.
        engine: that can run it.
        settings: words for its runs.
    """

    model_type: str
    shown: str
    values: Mapping[str, Any] = field(default_factory=dict)
    engine: EngineName = EngineName.vllm
    settings: tuple[str, ...] = ()


_MIXED = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
_TIED = {"tie_word_embeddings": True}
_YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}
_CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 32}

FAMILIES: dict[str, Family] = {
    "Qwen2": Family("qwen2", "biased queries, keys and values"),
    "Qwen2, tied": Family("qwen2", "embeddings are the head", _TIED),
    "Qwen2, window": Family(
        "qwen2",
        "sliding window in some of the layers",
        {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
        EngineName.transformers,
    ),
    "Qwen3": Family("qwen3", "norms of queries and keys; three end tokens", {"eos_token_id": [0, 2, 3]}),
    "Llama": Family("llama", "the plainest"),
    "Llama, yarn": Family("llama", "yarn rotary positions; tied", {"rope_parameters": _YARN, **_TIED}),
    "Llama, adapters": Family("llama", "LoRA in all linear layers; tied", _TIED, settings=("model.lora.rank=4",)),
    "Mistral": Family("mistral", "sliding window in all layers", {"sliding_window": WINDOW}),
    "Gemma 2": Family("gemma2", "soft caps of scores and logits; windows; tied", {**_CAPS, **_MIXED, **_TIED}),
    "Gemma 3": Family("gemma3_text", "two rotary bases; windows; tied", {**_MIXED, **_TIED}),
    "Phi3": Family("phi3", "fused projections; sliding window in all layers", {"sliding_window": WINDOW}),
    "OLMo2": Family("olmo2", "norms after the blocks; vLLM runs transformers' class"),
    "GPT-NeoX": Family(
        "gpt_neox",
        "layer norms, parallel blocks, biases; vLLM runs transformers' class",
        {"num_key_value_heads": 2},
    ),
}
"""By the name that tables and documentation use."""


def make_model(name: str, folder: Path) -> Path:
    """Write a random model of a family of `FAMILIES`, the same for the same name; return its folder."""
    family, path = FAMILIES[name], folder / name.lower().replace(", ", "-").replace(" ", "")
    path.mkdir(parents=True)
    values = SIZES | dict(family.values)
    config = AutoConfig.for_model(family.model_type, **values)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=NOISE)
    model.save_pretrained(path)
    ends = {key: values[key] for key in ("eos_token_id", "bos_token_id", "pad_token_id")}
    GenerationConfig(**ends).save_pretrained(path)
    for file in TOKENIZER.iterdir():
        if file.name.startswith(("tokenizer", "chat_template")):
            shutil.copy(file, path)
    return path
