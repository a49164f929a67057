"""Bounds on log p(x), as estimated in training. One file an option of `conf/estimator/`."""
