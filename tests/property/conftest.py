"""How hypothesis runs here: as long as it takes, for a busy machine says nothing about the code."""

from hypothesis import HealthCheck, settings

settings.register_profile("priolb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("priolb")
