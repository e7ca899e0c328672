"""Warm-start a policy, supervised, on worked solutions: the cold start of a base model before reinforcement learning.

    python scripts/warm_start.py model.path=MODEL problems.path=SOLUTIONS.jsonl warm_start.output=FOLDER [key=value ...]
    python train.py model.path=FOLDER problems.path=PROBLEMS.jsonl

It takes every setting of train.py, so that prompts, problems and the held-out split are those of the run, and those of
`warm_start`; --help lists them. With trainer.devices=2 or under torchrun the policy is sharded across ranks.
"""

from __future__ import annotations

import sys

from acereason.config.compose import compose
from acereason.config.help import settings_help
from acereason.config.schema.warm_start import WarmStartConfig
from acereason.distributed.environment import RankInfo, resolve_ranks
from acereason.distributed.launcher import start_ranks
from acereason.distributed.lifeline import Lifeline
from acereason.planning.checks import check
from acereason.planning.prompt_lines import prompt_lines
from acereason.problems.loaders import sources
from acereason.problems.solutions import load_solutions
from acereason.training.outcome import run_to_the_end


def run(rank_info: RankInfo, lifeline: Lifeline) -> int:
    """Compose the settings and learn, or say what would be learned from; return the exit code."""
    words = sys.argv[1:]
    config = compose(words, WarmStartConfig)
    resolve_ranks(config, rank_info)
    check(config)
    if config.validate_only:
        for name, source in sources(config).items():
            train, held_out = load_solutions(source, config.warm_start.solution)
            print(f"{name}: {len(train)} solutions to learn from, {len(held_out)} held out")
        print("\n".join(prompt_lines(config)))
        return 0
    if config.trainer.ranks > rank_info.world_size:
        return start_ranks(config, words)
    from acereason.training.warm_start import warm_start

    warm_start(config, rank_info, lifeline)
    return 0


def main() -> int:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(f"{__doc__}\n{settings_help(WarmStartConfig)}")
        return 0
    return run_to_the_end(run)


if __name__ == "__main__":
    sys.exit(main())
