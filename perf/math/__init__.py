"""Math verifier: its verdicts beside other graders', its speed, what it leaves behind."""
