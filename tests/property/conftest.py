"""How hypothesis runs here: as long as it takes, for a busy machine says nothing about the code.

Every run of `make test` tries the same examples, so that it says something about the change alone. New ones
are looked for, and for long, by `make properties` and `make fuzz`.
"""

from hypothesis import HealthCheck, settings

from support.examples import EFFORT, examples

settings.register_profile(
    "priolb",
    deadline=None,
    max_examples=examples(100),
    derandomize=EFFORT == 1,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("priolb")
