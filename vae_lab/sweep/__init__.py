"""Arms and seeds as one sweep: planned, launched, brought to its end, and told. No TensorFlow."""
