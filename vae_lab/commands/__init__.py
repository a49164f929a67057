"""The subcommands of `vae-lab`, a module each, whose docstring is its usage: `main(arguments) -> exit code`."""
