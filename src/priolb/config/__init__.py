"""Settings: what an operator can say by flags and environment, checked before anything listens."""
