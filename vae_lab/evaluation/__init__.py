"""What a model is worth at fixed weights."""
