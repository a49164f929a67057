"""What was asked: arms and seeds, what is expected of them, the jobs and what identifies each. No TensorFlow."""
