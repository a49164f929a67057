"""The subcommands of `vae-lab`, a module each: `main(arguments) -> exit code`."""
