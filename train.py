"""Train a policy to reason: problems, rollouts, verified rewards, on-policy GRPO, weight sync, and again.

python train.py                         the laptop policy with its defaults
python train.py key=value ...           any setting; `python train.py --help` lists them all
torchrun ... train.py key=value ...     many ranks on many nodes; on one machine, `trainer.devices=2` starts them
"""

from __future__ import annotations

import sys

from acereason.config.compose import compose
from acereason.config.help import print_help
from acereason.curricula.user_callbacks import user_callbacks
from acereason.distributed.allocator import limit_pinned_memory
from acereason.distributed.environment import RankInfo, resolve_ranks
from acereason.distributed.launcher import start_ranks
from acereason.distributed.lifeline import Lifeline
from acereason.planning.checks import check
from acereason.planning.plan import print_plan
from acereason.planning.prompt_lines import prompt_lines
from acereason.problems.loaders import load_sources
from acereason.training.checkpoint_files import check_resume
from acereason.training.outcome import run_to_the_end


def run(rank_info: RankInfo, lifeline: Lifeline) -> int:
    """Compose the settings, build the run, train, and show what improved; return the exit code."""
    words = sys.argv[1:]
    config = compose(words)
    resolve_ranks(config, rank_info)
    limit_pinned_memory(config)
    missing = check(config)
    check_resume(config)
    callbacks = user_callbacks(config)
    if config.validate_only:
        print_plan(config, callbacks, missing)
        print("\n".join(prompt_lines(config)))
        return 0
    # Ranks that a launcher started load later and together: one of each node downloads what is on the hub.
    problems = load_sources(config) if rank_info.world_size == 1 else None
    if config.trainer.ranks > rank_info.world_size:
        return start_ranks(config, words)
    from acereason.training.train import train

    train(config, callbacks, problems, rank_info, lifeline)
    return 0


def main() -> int:
    """Show the help or run; return the exit code."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print_help()
        return 0
    return run_to_the_end(run)


if __name__ == "__main__":
    sys.exit(main())
