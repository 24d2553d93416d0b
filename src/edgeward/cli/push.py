"""`edgeward push`: publish a folder."""

from typing import Annotated

import typer

from edgeward.cli import tables, views
from edgeward.cli.options import (
    FleetOption,
    FolderArgument,
    JsonOption,
    QuietOption,
    QuorumOption,
    WaitOption,
)
from edgeward.cli.progress import progress_view
from edgeward.cli.project import find_project
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples

MessageOption = Annotated[
    str | None,
    typer.Option("--message", "-m", metavar="TEXT", help="What this release is.", show_default="the git commit"),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Push though more than half of the paths would disappear.")]
NoIndexOption = Annotated[bool, typer.Option("--allow-no-index", help="Push a folder with no index.html in its root.")]
PurgedOption = Annotated[
    bool, typer.Option("--allow-purged", help="Push content that was taken down with `edgeward purge`.")
]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The site, in place of what edgeward.toml says.")
]
HostnameOption = Annotated[
    list[str] | None,
    typer.Option("--hostname", "-H", metavar="HOST", help="Its hostnames, in place of what edgeward.toml says."),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, metavar="N", help="Threads that compress.", show_default="one a core"),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Name every path that changed, was left out or is immutable.")
]


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="push",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward push", "the site of this folder"),
            ("edgeward push public -m 'New prices'", "a folder, with a message"),
            ("edgeward push --dry-run -v", "what would change; nothing is written to the fleet"),
            ("edgeward push --wait 5m --quorum majority", "go on without edges that are late"),
            ("edgeward push html --name docs -H docs.example.com", "with no edgeward.toml"),
        ),
    )(push)


def push(
    folder: FolderArgument = None,
    *,
    message: MessageOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would change.")] = False,
    wait: WaitOption = 60.0,
    quorum: QuorumOption = "all",
    force: ForceOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    allow_no_index: NoIndexOption = False,
    allow_purged: PurgedOption = False,
    name: NameOption = None,
    hostname: HostnameOption = None,
    jobs: JobsOption = None,
    fleet: FleetOption = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a folder: compress it, upload what is missing, switch every edge to it at once.

    Edges that do not report or are drained are not waited for. A push of what is live already changes nothing.
    """
    from edgeward.publish.build import everything_wrong
    from edgeward.publish.push import push as publish
    from edgeward.publish.values import PushOptions, Waiting

    project = find_project(folder, name=name, hostnames=tuple(hostname or ()))
    options = PushOptions(
        folder=project.folder,
        settings=project.settings,
        message=message,
        waiting=Waiting(seconds=wait, quorum=quorum),
        dry_run=dry_run,
        force=force,
        strict=strict,
        allow_no_index=allow_no_index,
        allow_purged=allow_purged,
        jobs=jobs,
    )
    if project.problems:
        raise everything_wrong(options, project.problems, project.unread)
    with progress_view(quiet=quiet) as progress:
        result = with_store(lambda store: publish(options, store, progress), fleet=fleet, in_project=project.fleet)
    for problem in result.warnings:
        views.warn(str(problem))
    if as_json:
        views.show_json(result)
    else:
        views.show(*tables.push_result(result, verbose=verbose))
