"""Known regressions put into recorded traces, for the benchmark `alerts-injected` and its test."""
