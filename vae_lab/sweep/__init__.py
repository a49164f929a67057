"""What Hydra's multirun lacks: arms and seeds, a checked plan, a parent run, failures that are told."""
