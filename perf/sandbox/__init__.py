"""Sandbox: hostile programs, what they leave behind, and kills of the processes that run them."""
