"""A rank of `test_shared_problems.py`: model and problems from a hub.

torchrun ... two_ranks_of_a_hub.py
"""

import json

import torch.distributed as dist

from acereason.config.schema import Config, ProblemsConfig
from acereason.distributed.collectives import gather
from acereason.engines.model_folder import model_folder_of_all_ranks
from acereason.training.shared_problems import load_together

dist.init_process_group("gloo")
folder = model_folder_of_all_ranks("owner/tiny")
problems, _ = load_together(Config(problems=ProblemsConfig(path="hub:owner/set", held_out=0)))
facts = gather([sorted(file.name for file in folder.iterdir()), [problem.id for problem in problems["problems"]]])
if dist.get_rank() == 0:
    print(json.dumps(facts))
dist.destroy_process_group()
