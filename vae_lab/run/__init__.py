"""One run: what is missing of it, training, evaluation, and how it is put down and taken up again."""
