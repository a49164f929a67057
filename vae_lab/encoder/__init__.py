"""Networks from images to features. One file an option of `conf/encoder/`."""
