"""How hypothesis runs here: as long as it takes, for a busy machine says nothing about the code.

On a machine of CI every run tries the same examples, so that a run says something about the change alone;
people's runs go on looking for new ones. `make fuzz` has them look for long.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "priolb",
    deadline=None,
    max_examples=int(os.environ.get("PRIOLB_EXAMPLES", "100")),
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("priolb")
