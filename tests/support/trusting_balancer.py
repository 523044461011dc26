"""The program as it is, but for the trust anchors that its own code hands to it: those of the tests.

    python -P trusting_balancer.py FOLDER [flags of the program]

FOLDER has the root certificates `ark.der` and `intel.der`. Lines of the log are written at once, and
collateral is looked after all the time, as tests wait for both.
"""

import os
import sys
from pathlib import Path

from priolb.app import run
from priolb.attest.attestors import Attestors
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sgx import library
from priolb.attest.sgx.policy import SgxPolicy
from priolb.config.load import load_settings
from priolb.config.settings import Settings
from priolb.telemetry import writer
from priolb.telemetry.logs import Logger


def main(folder: Path, flags: list[str]) -> int:
    vars(writer)["FLUSH_INTERVAL_S"] = 0.005
    vars(library)["LOOK_S"] = vars(library)["REFRESH_S"] = 0.05
    sev = SevPolicy(arks=((folder / "ark.der").read_bytes(),))
    sgx = SgxPolicy(root=(folder / "intel.der").read_bytes())

    def under_our_roots(settings: Settings, log: Logger) -> Attestors:
        return Attestors(sev, sgx, settings.sgx_collateral, log)

    return run(load_settings(flags, os.environ), under_our_roots)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
