"""Reinforcement learning with verifiable rewards. Importing this package comes before torch and vLLM."""

import os

# Both libraries read their log level when they are imported.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
