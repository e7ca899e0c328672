"""The plan is worked out from the settings and config.json alone."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny_config
from transformers import AutoConfig, AutoModelForCausalLM

from acereason.config.compose import compose
from acereason.config.schema import Config
from acereason.planning.host_memory import gpu_allocations, host_memory, pinned
from acereason.planning.memory import Shape, activation_bytes, engine_memory, mask_bytes, training_memory
from acereason.planning.plan import plan_lines

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


SHAPE_7B = Shape.of(QWEN_7B)


@pytest.fixture
def qwen_7b(tmp_path: Path) -> Path:
    """A folder with nothing but the 7B model's config.json."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN_7B))
    return folder


def config_of(folder: Path, *overrides: str) -> Config:
    """Responses of at most 8,192 tokens, micro-batches of as many."""
    lengths = ("curriculum.max_response_tokens=8192", "model.micro_batch_tokens=8192")
    return tiny_config(folder.parent, f"model.path={folder}", *lengths, *overrides)


def plan_of(folder: Path, *overrides: str) -> str:
    return "\n".join(plan_lines(config_of(folder, *overrides)))


def test_the_laptop_policys_count_is_that_of_its_weights(plain_model: AutoModelForCausalLM) -> None:
    count = Shape.of(json.loads(Path("models/laptop/config.json").read_text())).parameters
    assert count == sum(parameter.numel() for parameter in plain_model.parameters())


def test_counts_of_known_models() -> None:
    # A layer of the 7B: q and o 2·3584², k and v 2·3584·512, biases 3584 + 2·512, MLP 3·3584·18944, norms 2·3584.
    layer = 2 * 3584**2 + 2 * 3584 * 512 + 4608 + 3 * 3584 * 18944 + 7168
    assert Shape.of(QWEN_7B).parameters == 28 * layer + 2 * 152064 * 3584 + 3584 == 7_615_616_512
    assert Shape.of(LLAMA_1B).parameters == 1_235_814_400


def test_the_memory_of_a_rank_is_its_share_of_four_float32_copies(qwen_7b: Path) -> None:
    text = plan_of(qwen_7b, "trainer.devices=8", "trainer.num_nodes=2", "curriculum.prompts_per_step=16")
    # 7,615,616,512 × 4 bytes / 16 ranks / 2³⁰ = 1.77 GiB, and two moments.
    assert "7,615,616,512 parameters" in text
    assert "weights 1.77 GiB, gradients 1.77 GiB, optimizer 3.55 GiB" in text
    assert "16 (2 node(s) × 8), policy held 1 time(s), in 16 shard(s)" in text


def test_the_policy_is_held_as_often_as_the_ranks_that_shard_it_go_into_all_ranks(qwen_7b: Path) -> None:
    text = plan_of(qwen_7b, "trainer.devices=8", "trainer.num_nodes=2", "trainer.shard_ranks=4")
    assert "policy held 4 time(s), in 4 shard(s)" in text
    assert "weights 7.09 GiB" in text  # 28.37 / 4
    assert "optimizer 14.19 GiB" in text
    assert "weights 14.19 GiB" in plan_of(qwen_7b, "trainer.devices=4", "grpo.kl_coefficient=0.1")  # and a reference


def test_what_is_gathered_and_the_head_do_not_depend_on_the_ranks(qwen_7b: Path) -> None:
    memory = training_memory(config_of(qwen_7b, "model.compute_dtype=bfloat16", "trainer.devices=8"), SHAPE_7B)
    # A layer has 233,057,792 parameters, root 2 · 152,064 · 3,584 + 3,584 = 1,089,998,336; 2 bytes each.
    assert memory.gathered == 2 * (2 * 233_057_792 + 1_089_998_336)
    assert memory.gathered_gradients == (2 + 4) * 233_057_792
    # Chunks of 1,024 tokens: 1,024 · 152,064 logits and 152,064 · 3,584 of the head's gradient, 4 + 2 bytes each.
    assert memory.head == 6 * (155_713_536 + 544_997_376)
    float32 = training_memory(config_of(qwen_7b, "model.compute_dtype=float32", "trainer.devices=8"), SHAPE_7B)
    assert float32.head == 4 * (155_713_536 + 544_997_376)


def test_checkpointing_keeps_the_input_of_every_layer_and_one_layer_in_full(qwen_7b: Path) -> None:
    settings = ("model.compute_dtype=bfloat16",)
    # 2 · (4·3584 + 2·3584 + 2·512 + 4·18944) + 8·3584 = 225,280 bytes a token and layer, 7,168 of a layer's input.
    assert activation_bytes(config_of(qwen_7b, *settings), SHAPE_7B, 1000) == 1000 * 28 * 225_280
    checkpointed = config_of(qwen_7b, *settings, "model.activation_checkpointing=true")
    assert activation_bytes(checkpointed, SHAPE_7B, 1000) == 1000 * (28 * 7_168 + 225_280)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_activations_that_a_model_keeps_are_those_of_the_estimate(dtype: str) -> None:
    values = {**QWEN_7B, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 3, "vocab_size": 300}
    values |= {"num_attention_heads": 8, "num_key_value_heads": 2}
    estimate = activation_bytes(compose([f"model.compute_dtype={dtype}"]), Shape.of(values), 512)
    assert kept_by_forward(values, dtype, 512) == pytest.approx(estimate, rel=0.06)


def kept_by_forward(values: dict[str, Any], dtype: str, tokens: int) -> int:
    """Bytes that autograd keeps of a forward pass through the layers, less the weights."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values), dtype=getattr(torch, dtype)).train()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.model(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_engines_on_the_cpu_hold_so_many_tokens(qwen_7b: Path) -> None:
    text = plan_of(qwen_7b, "engine.name=vllm", "engine.kv_cache_gib=7", "trainer.accelerator=cpu")
    # 28 layers × 2 × 4 heads × 128 × 4 bytes = 112 KiB a token; 7 GiB / 112 KiB = 65,536 tokens = 8 × 8,192.
    assert "engine's weights 28.37 GiB, KV cache 7.00 GiB: 65,536 tokens or 8 longest responses" in text
    # 7,615,616,512 × (4 + 8 + 4) bytes of weights, optimizer and engine are 113.48 GiB, and 7 of cache.
    assert "generating 120.48 GiB (on the CPU the engine does not sleep)" in text


def test_engines_on_gpus_sleep(qwen_7b: Path) -> None:
    text = plan_of(
        qwen_7b,
        *("engine.name=vllm", "engine.dtype=bfloat16", "engine.tensor_parallel_size=2", "trainer.accelerator=cuda"),
        *("trainer.devices=8", "trainer.num_nodes=2", "curriculum.prompts_per_step=16"),
    )
    assert "engines      8 of 2 rank(s), vllm, responses from one queue" in text
    # 7,615,616,512 × 2 bytes / 2 ranks = 7.09 GiB; 28 × 2 × 2 heads × 128 × 2 bytes = 28 KiB, × 8,192 = 224 MiB.
    assert "weights 7.09 GiB, KV cache the rest, 28.0 KiB a token, 224.0 MiB a longest response" in text
    assert "host memory  no weights: sleeping engines drop theirs" in text
    assert "generating 5.32 GiB and the engine's 60%" in text  # 1.77 weights + 3.55 optimizer


def test_a_sleeping_engine_that_keeps_its_weights_pins_powers_of_two(qwen_7b: Path) -> None:
    settings = ("engine.name=vllm", "engine.dtype=bfloat16", "engine.sleep=keep", "trainer.accelerator=cuda")
    text = plan_of(qwen_7b, *settings, "trainer.devices=8")
    # A layer's fused weights are on the GPU 32, 26, 260 and 130 MiB, in pinned memory 32, 32, 512 and 256 MiB. With
    # embeddings and head, 1,040 and so 2,048 MiB each, and one block of 2 MiB for norms and biases it is 27,394 MiB.
    mib = 28 * (32 + 32 + 512 + 256) + 2 * 2048 + 2
    assert host_memory(config_of(qwen_7b, *settings), SHAPE_7B).engine == mib * 2**20
    assert f"a node: {8 * mib / 1024:.2f} GiB for sleeping engines of 113.48 GiB" in text


def test_small_tensors_share_blocks_and_large_ones_are_rounded_to_2_mib() -> None:
    mib = 2**20
    assert gpu_allocations([0.5 * mib] * 5) == [2 * mib] * 2
    assert gpu_allocations([6 * mib] * 4) == [20 * mib] * 2  # three fit into 20 MiB
    assert gpu_allocations([10 * mib, 31.5 * mib]) == [10 * mib, 32 * mib]
    assert [pinned(size * mib) / mib for size in (2, 20, 260)] == [2, 32, 512]
    assert [pinned(size * mib, exact_above_mib=16) / mib for size in (2, 9, 20, 260)] == [2, 16, 20, 260]


def test_an_offloaded_policy_is_in_host_memory(qwen_7b: Path) -> None:
    settings = ("model.cpu_offload=true", "trainer.accelerator=cuda", "engine.name=vllm", "trainer.devices=4")
    found = training_memory(config_of(qwen_7b, *settings), SHAPE_7B)
    assert (found.weights, found.gradients, found.optimizer) == (0, 0, 0)
    # Two layers on their way to the GPU and a gradient on its way back, a quarter of each.
    assert found.staged == 3 * 4 * 233_057_792 / 4
    host = host_memory(config_of(qwen_7b, *settings), SHAPE_7B)
    assert host.optimizer == 2 * 7_615_616_512  # 8 bytes a parameter, on 4 ranks
    assert host.weights == host.gradients == pytest.approx(7_615_616_512, rel=0.04)  # below 16 MiB they are rounded up
    line = f"a node: {4 * host.policy / 2**30:.2f} GiB for weights, gradients and optimizer"
    assert line in plan_of(qwen_7b, *settings)
    cpu = (*settings[:1], "trainer.accelerator=cpu", "trainer.devices=4")
    assert training_memory(config_of(qwen_7b, *cpu), SHAPE_7B).weights == 7_615_616_512


def test_more_ranks_than_key_heads_share_them(qwen_7b: Path) -> None:
    settings = ("trainer.devices=8", "engine.tensor_parallel_size=8", "engine.dtype=bfloat16")
    assert engine_memory(config_of(qwen_7b, *settings), SHAPE_7B).kv_token == 28 * 2 * 1 * 128 * 2


H100 = ("engine.name=vllm", "engine.dtype=bfloat16", "trainer.accelerator=cuda", "trainer.device_memory_gib=80")


def test_the_cache_of_a_known_gpu_holds_so_many_longest_responses(qwen_7b: Path) -> None:
    text = plan_of(qwen_7b, *H100, "engine.gpu_memory_utilization=0.5", "trainer.devices=2")
    # 40 GiB less 14.185 GiB of weights are 25.815 GiB; at 56 KiB a token 483,371 tokens, 59 times 8,192.
    assert "engine 50% of 80 GiB: weights 14.19 GiB" in text
    assert "at most 25.81 GiB, 483,371 tokens or 59 longest responses; an even share of a step is 4" in text
    # Of 2 ranks: weights 14.19 and two moments 28.37 stay, 40 for the engine.
    assert "generating 82.56 GiB, of 80 GiB" in text
    assert "DOES NOT FIT generating: lower engine.gpu_memory_utilization" in text


def test_what_fits_is_not_said_not_to(qwen_7b: Path) -> None:
    fits = ("trainer.devices=8", "curriculum.prompts_per_step=8", "model.activation_checkpointing=true")
    assert "DOES NOT FIT" not in plan_of(qwen_7b, *H100, *fits)
    assert "DOES NOT FIT training" in plan_of(qwen_7b, *H100, *fits, "model.activation_checkpointing=false")
    tight = "DOES NOT FIT one longest response in the KV cache"
    assert tight in plan_of(qwen_7b, *H100, *fits, "engine.gpu_memory_utilization=0.18")  # 14.4 GiB less 14.19


def test_a_response_longer_than_a_micro_batch_is_one_by_itself(qwen_7b: Path) -> None:
    longer = config_of(qwen_7b, "model.micro_batch_tokens=4096")
    memory = training_memory(longer, SHAPE_7B, longest_response=8192)
    assert memory.activations == activation_bytes(longer, SHAPE_7B, 8192) + mask_bytes(8192)
    said = "a response of 8,192 tokens is a micro-batch by itself: model.micro_batch_tokens=4096"
    assert said in "\n".join(plan_lines(longer))
    assert "by itself" not in plan_of(qwen_7b, "model.micro_batch_tokens=8193")


def test_the_total_while_training_is_the_sum_of_what_is_listed(qwen_7b: Path) -> None:
    text = plan_of(qwen_7b, "trainer.accelerator=cuda", "trainer.devices=8", "engine.name=vllm")
    listed = re.findall(r"(?:weights|gradients|optimizer|gathered layers|activations|head) ([\d.]+) GiB", text)
    total = re.search(r"training ([\d.]+) GiB \(the engine sleeps\)", text)
    assert total is not None
    assert len(listed) == 8  # and the engine's weights
    assert sum(map(float, listed[:7])) == pytest.approx(float(total[1]), abs=0.04)


def test_settings_that_were_not_resolved_are_one_rank(tmp_path: Path) -> None:
    text = "\n".join(plan_lines(tiny_config(tmp_path, "trainer.devices=0", "trainer.num_nodes=0")))
    assert "1 (1 node(s) × 1), policy held 1 time(s), in 1 shard(s)" in text
    assert "engines      1 of 1 rank(s), transformers\n" in text


def test_a_fixed_share_is_named(tmp_path: Path) -> None:
    text = "\n".join(plan_lines(tiny_config(tmp_path, "trainer.devices=2", "engine.work=fixed")))
    assert "engines      2 of 1 rank(s), transformers, an equal share of the responses each" in text


def test_the_plan_names_what_the_run_would_do(tmp_path: Path) -> None:
    text = "\n".join(plan_lines(tiny_config(tmp_path, "trainer.max_steps=7", "seed=5")))
    for part in (
        "recipe       laptop_math, seed 5",
        "7 rollout steps of 2 prompts × 4 rollouts, 1 update(s) each",
        "up to 2 tokens at temperature 1, at most 16 tokens a step",
        str(tmp_path / "tiny"),
    ):
        assert part in text


def test_what_is_missing_is_said_last(tmp_path: Path) -> None:
    lines = plan_lines(tiny_config(tmp_path), missing=["problems.path=x: no such file"])
    assert lines[-1] == "missing: problems.path=x: no such file"


def test_a_model_that_the_recipes_name_is_known_without_the_hub(tmp_path: Path) -> None:
    text = "\n".join(plan_lines(tiny_config(tmp_path, "model.path=deepseek-ai/DeepSeek-R1-Distill-Qwen-7B")))
    assert "7,615,616,512 parameters" in text
    assert Shape.of_model("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B") == SHAPE_7B
    sizes = [Shape.of_model(f"deepseek-ai/DeepSeek-R1-Distill-Qwen-{size}") for size in ("1.5B", "14B")]
    assert [shape and shape.parameters for shape in sizes] == [1_777_088_000, 14_770_033_664]


def test_a_model_on_the_hub_is_not_looked_up(tmp_path: Path) -> None:
    assert plan_lines(tiny_config(tmp_path, "model.path=someone/something"))[-1].endswith(
        "someone/something (on the hub; not looked up)"
    )


def test_a_model_of_another_kind_has_no_estimate(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_embd": 8, "vocab_size": 9}')
    last = plan_lines(tiny_config(tmp_path, f"model.path={tmp_path}"))[-1]
    assert last.endswith(" (of another kind: its memory is not estimated)")


@pytest.mark.parametrize("module", ["torch", "transformers", "lightning"])
def test_planning_loads_nothing_heavy(module: str) -> None:
    code = f"import acereason.planning.plan, acereason.config.compose, sys; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
