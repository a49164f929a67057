"""p(z), the priors. One file an option of `conf/prior/`."""
