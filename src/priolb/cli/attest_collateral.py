"""`prio-load-balancer attest collateral fetch`: fill a directory, for balancers that may ask nobody."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from priolb.attest.anchors import INTEL_SGX_ROOT
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.origin import check_origin
from priolb.attest.sgx.sources import PccsSource
from priolb.config.load import load_settings, read_value
from priolb.config.parse import UrlOrDirectory
from priolb.config.words import escaped, shown
from priolb.errors import ConfigError

_FMSPC: Final = re.compile(r"[0-9A-Fa-f]{12}")
_CAS: Final = ("platform", "processor")


def fetch(directory: Path, url: str | None, fmspcs: str | None, ca: str | None) -> int:
    """Fetch collateral into files, one for each platform, and return the exit status: 1 when one is missing.

    Args:
        directory: has to exist. Files in it are replaced whole or not at all.
        url: base URL of a PCCS, None for that of the settings.
        fmspcs: platforms, comma separated.
        ca: platform or processor, None for both.

    Raises:
        ConfigError: something of that is missing or cannot be used.
    """
    place = read_value("--url", UrlOrDirectory(), url) if url is not None else None
    place = place or load_settings([], os.environ).sgx_collateral
    if not place.startswith(("http://", "https://")):
        raise ConfigError("attest: collateral needs --url, or SGX_COLLATERAL with the URL of a PCCS")
    if not directory.is_dir():
        raise ConfigError(f"attest: {shown(str(directory))} is no directory")
    source = PccsSource(place)
    is_complete = True
    for platform in _platforms(fmspcs, ca):
        try:
            collateral = asyncio.run(source.fetch(platform))
            _save(directory, platform, collateral)
        except (OSError, MalformedError) as error:
            print(f"prio-load-balancer: {platform}: {escaped(str(error))}", file=sys.stderr)
            is_complete = False
        else:
            print(f"{_file(directory, platform)}: valid until {_date(collateral.expires_at)}")
    return 0 if is_complete else 1


def _platforms(fmspcs: str | None, ca: str | None) -> Iterator[Platform]:
    words = (fmspcs or "").split(",")
    if not all(map(_FMSPC.fullmatch, words)):
        raise ConfigError("attest: collateral needs --fmspc with 12 hex digits (attest probe URI tells them)")
    if ca is not None and ca not in _CAS:
        raise ConfigError(f"--ca: {shown(ca)} is neither platform nor processor")
    for fmspc in dict.fromkeys(word.upper() for word in words):
        for each in (ca,) if ca is not None else _CAS:
            yield Platform(fmspc, each)


def _file(directory: Path, platform: Platform) -> Path:
    return directory / f"{platform.fmspc}-{platform.ca}.json"


def _save(directory: Path, platform: Platform, collateral: Collateral) -> None:
    if collateral.platform != platform:
        raise MalformedError(f"the service gave collateral for {collateral.platform}")
    check_origin(collateral, INTEL_SGX_ROOT)
    file = _file(directory, platform)
    unfinished = file.with_suffix(".new")
    unfinished.write_text(collateral.to_json())
    unfinished.replace(file)


def _date(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
