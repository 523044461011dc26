"""What a node has to prove, by its URI: the part before the @, and the parameters of its own policy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from priolb.attest.reader import MalformedError
from priolb.attest.sev.measurements import Measurements, decode_user_part
from priolb.attest.sev.policy import SevPolicy, parse_arks, parse_id_keys, parse_tcb
from priolb.attest.sgx.policy import SgxPolicy, parse_states

SEV_PREFIX: Final = "SEV_"
SGX_PREFIX: Final = "SGX_"

_MRENCLAVE: Final = re.compile(r"[0-9A-Fa-f]{64}")

# Parameters of a URI, by the prefix of its user part: the field of the policy that each one sets, and how it
# is read.
_Parameters = Mapping[str, tuple[str, Callable[[str], object]]]
_PARAMETERS: Final[Mapping[str, _Parameters]] = {
    SEV_PREFIX: {
        "_arks": ("arks", parse_arks),
        "_id_keys": ("id_keys", parse_id_keys),
        "_min_tcb": ("minimum_tcb", parse_tcb),
    },
    SGX_PREFIX: {"_allow_tcb": ("allowed_states", parse_states)},
}
PARAMETERS: Final = frozenset(name for known in _PARAMETERS.values() for name in known)
"""The parameters that a URI may have for the policy of its node alone."""


@dataclass(frozen=True, slots=True)
class SevExpectation:
    """Values of PCRs, and what of the policy is different for this node, by field."""

    measurements: Measurements
    changes: Mapping[str, Any] = field(default_factory=dict)

    def policy(self, base: SevPolicy) -> SevPolicy:
        """Return the policy for this node."""
        return replace(base, **self.changes)


@dataclass(frozen=True, slots=True)
class SgxExpectation:
    """Hash of the enclave, 32 bytes, and what of the policy is different for this node, by field."""

    mrenclave: bytes
    changes: Mapping[str, Any] = field(default_factory=dict)

    def policy(self, base: SgxPolicy) -> SgxPolicy:
        """Return the policy for this node."""
        return replace(base, **self.changes)


Expectation = SevExpectation | SgxExpectation


def parse_expectation(user_part: str, parameters: Mapping[str, str]) -> Expectation:
    """Return what a node has to prove.

    Args:
        user_part: `SEV_` and measurements, or `SGX_` and a MRENCLAVE in hex; percent signs decoded.
        parameters: those of PARAMETERS that the URI has.

    Raises:
        MalformedError: something of it cannot be used; the text names the part and repeats no value.
    """
    prefix = user_part[: len(SEV_PREFIX)]
    if prefix not in _PARAMETERS:
        raise MalformedError("the user part begins with neither SEV_ nor SGX_")
    changes = {}
    for name, text in parameters.items():
        if name not in _PARAMETERS[prefix]:
            raise MalformedError(f"{name} has no meaning for a {prefix.rstrip('_')} node")
        target, parse = _PARAMETERS[prefix][name]
        try:
            changes[target] = parse(text)
        except ValueError as error:
            raise MalformedError(f"{name} {error}") from None
    rest = user_part[len(prefix) :]
    if prefix == SEV_PREFIX:
        return SevExpectation(decode_user_part(rest), changes)
    if not _MRENCLAVE.fullmatch(rest):
        raise MalformedError("what follows SGX_ is no MRENCLAVE (64 hex digits)")
    return SgxExpectation(bytes.fromhex(rest), changes)
