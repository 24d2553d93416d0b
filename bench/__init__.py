"""Speed, measured side by side with peers in one run and told as ratios: `make bench`, or `python -m bench NAME...`."""
