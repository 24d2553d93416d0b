"""What an edge serves at one time: its sites by hostname, with all that answering needs worked out once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from edgeward.core.assets import is_immutable
from edgeward.core.fields import HeaderBook
from edgeward.core.release import Entry, Manifest
from edgeward.core.rulebook import RuleBook, compile_rules
from edgeward.core.site import SiteSettings

_NOTHING: Mapping[str, Entry] = MappingProxyType({})


@dataclass(frozen=True)
class LiveSite:
    """A site as an edge serves it.

    manifest: the live release. kept: kept and staged assets by path. https: a certificate is in place.
    """

    manifest: Manifest
    kept: Mapping[str, Entry] = field(default_factory=lambda: _NOTHING)
    https: bool = False

    @property
    def settings(self) -> SiteSettings:
        """The settings of the live release."""
        return self.manifest.settings

    @cached_property
    def rules(self) -> RuleBook:
        """The redirect rules, compiled."""
        return compile_rules(self.manifest.redirects)

    @cached_property
    def headers(self) -> HeaderBook:
        """The header rules, compiled."""
        return HeaderBook(self.manifest.headers)

    @cached_property
    def label(self) -> str:
        """The release as X-Edgeward shows it: 12 hex digits."""
        return self.manifest.release[:12]

    def immutable(self, entry: Entry) -> bool:
        """Whether an entry of the live release never changes under its name."""
        return is_immutable(self.settings, entry.path)


@dataclass(frozen=True)
class View:
    """All that an edge serves. edge: its name. sites: by hostname, each of a site's hostnames."""

    edge: str
    sites: Mapping[str, LiveSite]


def make_view(edge: str, sites: Iterable[LiveSite]) -> View:
    """Return the view of an edge with these sites."""
    return View(edge, {name: site for site in sites for name in site.settings.hostnames})
