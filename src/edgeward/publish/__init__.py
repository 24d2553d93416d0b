"""Use-cases of a deployer: push a folder, see what is live, move a pointer back, take content down, verify edges."""
