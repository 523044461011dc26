"""One module per question that the benchmarks answer; each has `run(quick) -> Result`."""
