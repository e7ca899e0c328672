"""Trains a policy to reason: problems, rollouts, verified rewards, on-policy GRPO, weight sync, and again.

python train.py                         the laptop policy with its defaults
python train.py key=value ...           any setting; `python train.py --help` lists them all
"""

from __future__ import annotations

import sys

from acereason.checks import check
from acereason.compose import compose
from acereason.errors import UserError
from acereason.problems.loaders import load_problems
from acereason.settings_help import print_help


def main() -> int:
    """Composes the settings, builds the run, trains, and shows what improved."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print_help()
        return 0
    try:
        config = compose(sys.argv[1:])
        check(config)
        if config.validate_only:
            from acereason.run.plan import print_plan

            print_plan(config)
            return 0
        problems, held_out = load_problems(config.problems)
        from acereason.run.train import train

        train(config, problems, held_out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
