"""The plan is worked out from the settings and config.json alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import tiny_config
from transformers import AutoModelForCausalLM

from acereason.run.plan import parameter_count, plan_lines

QWEN_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}
LLAMA_1B = {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 8192,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
}


def test_the_laptop_policys_count_is_that_of_its_weights(plain_model: AutoModelForCausalLM) -> None:
    count = parameter_count(json.loads(Path("models/laptop/config.json").read_text()))
    assert count == sum(parameter.numel() for parameter in plain_model.parameters())


def test_counts_of_known_models() -> None:
    # A layer of the 7B: q and o 2·3584², k and v 2·3584·512, biases 3584 + 2·512, MLP 3·3584·18944, norms 2·3584.
    layer = 2 * 3584**2 + 2 * 3584 * 512 + 4608 + 3 * 3584 * 18944 + 7168
    assert parameter_count(QWEN_7B) == 28 * layer + 2 * 152064 * 3584 + 3584 == 7_615_616_512
    assert parameter_count(LLAMA_1B) == 1_235_814_400


def test_the_memory_of_a_rank_is_its_share_of_four_float32_copies(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN_7B))
    config = tiny_config(tmp_path, f"model.path={folder}", "trainer.devices=8", "trainer.num_nodes=2")
    text = "\n".join(plan_lines(config))
    # 7,615,616,512 × 4 bytes / 16 ranks / 2³⁰ = 1.77 GiB.
    assert "7,615,616,512 parameters" in text
    assert "weights 1.77 GiB, gradients 1.77 GiB, optimizer 3.55 GiB" in text
    assert "16 (2 node(s) × 8)" in text


def test_the_plan_names_what_the_run_would_do(tmp_path: Path) -> None:
    text = "\n".join(plan_lines(tiny_config(tmp_path, "trainer.max_steps=7", "seed=5")))
    for part in (
        "recipe       laptop_math, seed 5",
        "7 rollout steps of 2 prompts × 4 rollouts, 1 update(s) each",
        "up to 2 tokens at temperature 1, at most 16 tokens a step",
        str(tmp_path / "tiny"),
    ):
        assert part in text


def test_a_model_on_the_hub_is_not_looked_up(tmp_path: Path) -> None:
    assert plan_lines(tiny_config(tmp_path, "model.path=someone/something"))[-1].endswith(
        "someone/something (on the hub; not looked up)"
    )


@pytest.mark.parametrize("module", ["torch", "transformers", "lightning"])
def test_planning_loads_nothing_heavy(module: str) -> None:
    code = f"import acereason.run.plan, acereason.compose, sys; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
