"""Networks from latents to the likelihood's parameters. One file an option of `conf/decoder/`."""
