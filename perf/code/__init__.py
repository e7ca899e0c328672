"""Code verifier: its verdicts beside plain CPython's, its speed beside other harnesses."""
