"""The preview engine: `core.resolve` behind Granian, in this process. No nginx, no root, any POSIX system."""

from edgeward.serve.preview.engine import PreviewEngine
from edgeward.serve.preview.site import Show

__all__ = ["PreviewEngine", "Show"]
