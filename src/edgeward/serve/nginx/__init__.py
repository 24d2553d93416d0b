"""nginx as the HTTP engine: configuration generated from the live releases, and the process that serves it.

`quote` puts text into configuration, `book` collects maps, `sites`, `rules` and `headers` turn releases into maps,
`locations` holds the few locations that all sites share, `render` puts it all together; `process` runs nginx on it.
"""
