"""LoRA: adapters start as nothing, learn alone, reach the engine merged, and are exported merged or by themselves."""

from pathlib import Path

import pytest
import torch
from tiny_runs import MODEL, Fitted, fit, prompts, tiny_config
from transformers import AutoModelForCausalLM

from acereason.config.schema import DType, ModelConfig
from acereason.config.schema.policy import LoRAConfig
from acereason.errors import UserError
from acereason.planning.memory import Shape
from acereason.policy.adapters import is_adapter, plain_name, targets_of
from acereason.policy.loading import skeleton
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack
from acereason.training.export import export_checkpoint
from acereason.training.export_adapter import export_saved_adapter

WORDS = ("model.lora.rank=4", "curriculum.learning_rate=1e-2")


def policy(rank: int = 4, dtype: DType = DType.float32, seed: int = 0, **lora: object) -> PolicyModel:
    return PolicyModel(ModelConfig(compute_dtype=dtype, lora=LoRAConfig(rank, **lora)), seed).load("cpu").train()


def row() -> object:
    return pack([ResponseTokens(i, i, prompt.ids, (5, 6, 7)) for i, prompt in enumerate(prompts(2))])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Three steps with adapters, checkpoints after the second and the third."""
    root = tmp_path_factory.mktemp("lora")
    return fit(tiny_config(root, *WORDS, "trainer.max_steps=3", "checkpoint.every_n_steps=1"), whole=True)


def plain(folder: str | Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


def test_the_policy_starts_as_the_base_model_to_the_last_bit():
    with torch.no_grad():
        assert torch.equal(policy()(row(), 1.0)[0], policy(rank=0)(row(), 1.0)[0])


def test_first_values_are_those_of_the_seed_and_the_name():
    one, again, other = (dict(policy(seed=seed).named_parameters()) for seed in (0, 0, 1))
    for name, parameter in one.items():
        assert torch.equal(parameter, again[name])
        assert torch.equal(parameter, other[name]) is (".lora_A." not in name)
        if ".lora_A." in name:
            bound = parameter.shape[1] ** -0.5
            assert parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    a = [parameter for name, parameter in one.items() if ".q_proj.lora_A." in name]
    assert not torch.equal(a[0], a[1])


def test_only_adapters_learn_and_all_else_is_kept_in_the_compute_type():
    for name, parameter in policy(dtype=DType.bfloat16).named_parameters():
        assert parameter.requires_grad is is_adapter(name)
        assert parameter.dtype is (torch.float32 if is_adapter(name) else torch.bfloat16)


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        (["all"], ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]),
        (["attention"], ["k_proj", "o_proj", "q_proj", "v_proj"]),
        (["mlp"], ["down_proj", "gate_proj", "up_proj"]),
        (["q_proj", "mlp"], ["down_proj", "gate_proj", "q_proj", "up_proj"]),
    ],
)
def test_targets(targets: list[str], names: list[str]):
    assert targets_of(skeleton(Path(MODEL)), targets) == names


def test_a_target_that_no_layer_has_is_refused():
    with pytest.raises(UserError, match=r"model\.lora\.targets: no layer of qwen2 is q_prj; did you mean q_proj\?"):
        policy(targets=["q_prj"])


def test_the_plan_counts_the_adapters_that_there_are():
    shape = Shape.of_model(MODEL)
    assert shape is not None
    for targets in (["all"], ["attention"], ["mlp"]):
        lora = LoRAConfig(4, targets=targets)
        real = sum(parameter.numel() for parameter in policy(targets=targets).parameters() if parameter.requires_grad)
        assert shape.layers * sum(shape.adapters(lora)) == real


def test_the_engine_gets_what_the_policy_is_and_the_base_stays(trained: Fitted):
    assert len(trained.recorder.batches) == 3
    assert max(trained.recorder.of("rollout/logprob_gap_mean")) < 1e-5
    base, merged = plain(MODEL), trained.weights()
    assert set(merged) == {name for name in base if name != "lm_head.weight"}
    changed = {name for name, tensor in merged.items() if not torch.equal(tensor, base[name])}
    assert changed == {name for name in merged if name.endswith("_proj.weight")}
    assert trained.policy.model is not None
    for name, parameter in trained.policy.model.language_model.named_parameters():
        if not is_adapter(name):
            assert torch.equal(parameter.full_tensor(), base[plain_name(name)])


def test_merged_or_alone_an_export_is_the_policy(trained: Fitted, tmp_path: Path):
    from peft import PeftModel

    newest = trained.folder / "checkpoints" / "step-000003"
    export_checkpoint(newest, MODEL, tmp_path / "merged", config=trained.config.model)
    export_saved_adapter(newest, trained.config.model, tmp_path / "adapter")
    merged, ours = plain(tmp_path / "merged"), trained.weights()
    with_peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(MODEL), tmp_path / "adapter")
    by_peft = with_peft.merge_and_unload().state_dict()
    for name, tensor in ours.items():
        assert torch.equal(merged[name], tensor)
        assert (by_peft[name] - tensor).abs().max() < 1e-6


def test_a_resumed_run_is_the_run_that_was_not_stopped(trained: Fitted, tmp_path: Path):
    words = (*WORDS, "trainer.max_steps=3", f"ckpt={trained.folder / 'checkpoints' / 'step-000002'}")
    resumed = fit(tiny_config(tmp_path, *words), whole=True).weights()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in trained.weights().items())


def test_other_adapters_do_not_resume_it(trained: Fitted):
    from acereason.training.checkpoint_files import check_fits

    other = tiny_config(trained.folder.parent, "model.lora.rank=8", "curriculum.learning_rate=1e-2", "ckpt=last")
    other.trainer.max_steps = 3
    with pytest.raises(UserError, match=r"model\.lora\.rank=8 \(the checkpoint has 4\)"):
        check_fits(other, trained.folder / "checkpoints" / "step-000003")
