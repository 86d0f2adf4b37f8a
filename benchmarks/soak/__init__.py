"""Minutes of good, bad and hostile requests and mutations to the API: nothing breaks, leaks, or answers otherwise."""
