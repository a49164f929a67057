"""q(z|x), the approximate posteriors. One file an option of `conf/posterior/`."""
