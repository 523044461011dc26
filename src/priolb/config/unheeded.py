"""Settings that have no effect beside the others: the program starts all the same, and says so."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from priolb.config.settings import SETTINGS, Settings
from priolb.config.tables import ORIGINAL

_LATE_BINDING: Final = "a request stays in line until a node has a slot"
_OWN_LIMITS: Final = "the lanes of the configuration file have limits"


def unheeded(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return each setting that is not as by default and has no effect, by its variable, and why."""
    defaults = {each.name: each.default for each in fields(Settings)}
    for name, (is_heeded, why) in _conditions(settings).items():
        if not is_heeded and getattr(settings, name) != defaults[name]:
            yield SETTINGS[name].env or name, why


def _conditions(settings: Settings) -> dict[str, tuple[bool, str]]:
    """Return whether each setting is heeded that is not always, by its field, and why not."""
    policy = settings.policy
    is_original, has_lanes = policy.discipline == ORIGINAL, bool(policy.lanes)
    own_order = f"the discipline {policy.discipline} does not heed it"
    return {
        "job_send_timeout_s": (False, _LATE_BINDING),
        "job_chan_buffer": (False, _LATE_BINDING),
        "ra_tls_allow_debug_enclave": (False, "debug enclaves are always refused"),
        "items_fasttrack_max": (not has_lanes, _OWN_LIMITS),
        "items_highprio_max": (not has_lanes, _OWN_LIMITS),
        "items_lowprio_max": (not has_lanes, _OWN_LIMITS),
        "items_fasttrack_per_highprio": (is_original, own_order),
        "fasttrack_drain_first": (is_original, own_order),
        "preemptions_per_second": (any(lane.preempts for lane in policy.lanes), "no lane preempts"),
        "tenant_header": (bool(settings.trusted_proxies), "TRUSTED_PROXIES is empty"),
        "eject_time_s": (settings.eject_after > 0, "EJECT_AFTER is 0"),
        "eject_max_percent": (settings.eject_after > 0, "EJECT_AFTER is 0"),
        "hedge_max_percent": (bool(settings.hedge_lanes), "HEDGE_LANES is empty"),
    }
