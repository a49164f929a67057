"""From tracked runs to tables. No TensorFlow."""
