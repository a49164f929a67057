"""Images and their splits. One file an option of `conf/data/`."""
