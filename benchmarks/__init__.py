"""Measurements of the harness's speed, beside its peers and beside what the machine can do."""
