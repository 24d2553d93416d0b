"""Which HTTP engine an edge runs, made from its settings."""

from edgeward.edge.disk import EdgeDisk
from edgeward.edge.settings import EdgeSettings
from edgeward.serve.engine import Engine


def make_engine(settings: EdgeSettings, disk: EdgeDisk) -> Engine:
    """Return the engine of the settings, not started. Raises EngineMissing if nginx is wanted and not installed."""
    if settings.http.engine == "preview":
        from edgeward.serve.preview.engine import PreviewEngine

        return PreviewEngine(settings.http.listen, settings.http.port, health=disk.health)
    from edgeward.serve.nginx.process import NginxEngine

    return NginxEngine()
