"""p(x|z), the likelihoods. One file an option of `conf/likelihood/`."""
