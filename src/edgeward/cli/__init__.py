"""Front door for people and scripts: a command parses, calls one function, shows one value."""
