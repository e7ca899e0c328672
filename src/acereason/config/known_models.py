"""Values from the config.json of the recipes' models, for plans and checks on a machine without their files."""

from __future__ import annotations

from typing import Any

_QWEN2: dict[str, Any] = {"model_type": "qwen2", "max_position_embeddings": 131072, "tie_word_embeddings": False}

KNOWN_MODELS: dict[str, dict[str, Any]] = {
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": _QWEN2
    | {"hidden_size": 1536, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2}
    | {"intermediate_size": 8960, "vocab_size": 151936},
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": _QWEN2
    | {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    | {"intermediate_size": 18944, "vocab_size": 152064},
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B": _QWEN2
    | {"hidden_size": 5120, "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8}
    | {"intermediate_size": 13824, "vocab_size": 152064},
}
"""By hub name. Used only where `model.path` is that name; a folder's own config.json is read instead."""
