"""The commands: a module each, whose docstring is its usage and whose `main` takes its words."""
