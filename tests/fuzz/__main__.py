"""Fuzzes every target in turn: `make fuzz SECONDS=300`.

What is found on the way stays in .fuzz/, and the next run goes on from there. An input that fails is left
there too, and `make fuzz INPUT=.fuzz/NAME-crash-...` tries it again.
"""

import subprocess
import sys
from pathlib import Path

from fuzz.targets import TARGETS

FOLDER = Path(".fuzz")

# Seconds for one input, megabytes for all.
LIMITS = ["-timeout=20", "-rss_limit_mb=1024"]


def fuzz_all(seconds: int) -> int:
    """Fuzz every target for its share of the time; return how many have failed."""
    failures = 0
    for name, (_, seeds) in TARGETS.items():
        longest_bytes = max(4096, *(2 * len(seed) for seed in seeds))
        print(f"\nTarget {name}", flush=True)
        until = f"-max_total_time={max(1, seconds // len(TARGETS))}"
        command = [sys.executable, "-m", "fuzz.search", name, *LIMITS, f"-max_len={longest_bytes}", until]
        command += [f"-artifact_prefix={FOLDER}/{name}-", str(corpus_of(name))]
        failures += subprocess.run(command, check=False).returncode != 0
    return failures


def corpus_of(name: str) -> Path:
    """Return the folder of the inputs that a target starts from, the seeds among them."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name][1]):
        (folder / f"seed-{number}").write_bytes(seed)
    return folder


def main(word: str) -> int:
    if word.isdigit():
        return fuzz_all(int(word))
    file = Path(word)
    check, _ = TARGETS[file.name.partition("-")[0]]
    check(file.read_bytes())
    print("It fails no more.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
