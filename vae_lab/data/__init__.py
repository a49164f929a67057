"""Images and their splits. One file an option of `conf/data/`; `dataset.py` says what such a file holds."""
