"""What claims about speed, memory and robustness are measured with: `python -m perf.SUBJECT.SCRIPT`; see README.md."""
