"""Checks against real services of this machine; `make test-services` runs them, `make test` does not."""
