from collections.abc import Iterator
from pathlib import Path

import few_threads  # noqa: F401
import pytest
from tiny_runs import Fitted, Then, fit, tiny_config
from transformers import AutoModelForCausalLM
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from acereason.config.compose import save
from acereason.config.schema import ModelConfig
from acereason.policy.model import PolicyModel
from acereason.verifiers.pool.pool import VerifierPool

WHOLE_RUNS = (
    *("test_curriculum_kills", "test_kills", "test_deaths", "test_many_ranks", "test_train_run", "test_train_code"),
    *("test_history", "test_curriculum_page", "test_recipes", "test_gone_launcher", "test_training_scripts"),
)
"""Files whose tests start `train.py`, most of them on several ranks."""


def is_whole_run(path: str) -> bool:
    return Path(path).stem in WHOLE_RUNS


class Scheduling(LoadScopeScheduling):
    """Test scheduling for two workers (`make test`): one takes all whole runs; other files go to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "whole runs" if is_whole_run(path) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not is_whole_run(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def verifiers() -> Iterator[VerifierPool]:
    """Start real verifier processes."""
    with VerifierPool(workers=1, timeout_seconds=60.0, memory_mib=1024) as pool:
        yield pool


@pytest.fixture(scope="session")
def policy_model() -> PolicyModel:
    """Return the laptop policy as the update sees it; tests that change gradients clear them."""
    return PolicyModel(ModelConfig()).load("cpu").train()


@pytest.fixture(scope="session")
def plain_model() -> AutoModelForCausalLM:
    """Return the laptop policy as `transformers` loads it."""
    return AutoModelForCausalLM.from_pretrained("models/laptop", attn_implementation="eager")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Run four rollout steps of two updates each, evaluated and saved every two steps, with all files."""

    def colder(trainer, module) -> None:
        curriculum = module.curriculum
        rates = {"p": curriculum.step / 4}
        curriculum.change("a test", "to see it", temperature=curriculum.temperature - 0.05, solve_rates=rates)

    config = tiny_config(
        tmp_path_factory.mktemp("runs"),
        "trainer.max_steps=4",
        "grpo.updates_per_batch=2",
        "evaluation.every_n_steps=2",
        "checkpoint.every_n_steps=2",
    )
    run = fit(config, callbacks=[Then(colder)], whole=True)
    save(config, run.folder / "config.yaml")
    return run
