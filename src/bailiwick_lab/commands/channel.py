"""`bailiwick channel`: list the channels, check one, record its transcript, begin a new one."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

if TYPE_CHECKING:
    from bailiwick_lab.channel_suite.judges import Judged
    from bailiwick_lab.channel_suite.run import Checked
    from bailiwick_lab.channel_suite.subject import Subject

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group("channel")
def command() -> None:
    """The channels to providers: list them, check one, begin a new one.

    \b
    bailiwick channel new acme --folder ./acme
    bailiwick channel check ./acme
    """


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the channels of this installation.

    \b
    bailiwick channel list
    """
    from bailiwick.channels import registry

    rows: list[dict[str, Any]] = []
    try:
        for name in registry.names():
            profile = registry.channel(name).profile
            rows.append(
                {
                    "name": name,
                    "title": profile.title,
                    "methods": list(profile.methods),
                    "operations": [str(each) for each in profile.resolve],
                    "from": registry.source(name),
                }
            )
    except registry.BadChannel as error:
        _fail("list", str(error), as_json)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    widths = [max(len(row[key]) for row in rows) for key in ("name", "title")]
    for row in rows:
        click.echo(
            f"{row['name']:{widths[0]}}  {row['title']:{widths[1]}}  "
            f"{', '.join(row['methods'])}  from {row['from']}"
        )


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--csv", "as_csv", is_flag=True, help="Print it for a spreadsheet.")
@as_json
def table(names: tuple[str, ...], as_csv: bool, as_json: bool) -> None:
    """What each channel can do: types of payment methods, operations, currencies, countries.

    NAME: of some channels only.

    \b
    bailiwick channel table
    bailiwick channel table stripe --json
    """
    from bailiwick.channels import registry
    from bailiwick_lab.channel_suite import table as tables

    if as_csv and as_json:
        _fail("table", "give --csv or --json, not both", as_json)
    try:
        found = list(tables.rows(names or None))
    except (LookupError, registry.BadChannel) as error:
        _fail("table", str(error.args[0]), as_json)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif as_csv:
        csv.writer(sys.stdout).writerows([tables.HEADINGS, *tables.full(found)])
    else:
        for line in tables.text(found):
            click.secho(line, bold=not line.startswith(" "))


@command.command()
@click.argument("name")
@click.option("--judges/--no-judges", default=True, help="Run its judges too (the default).")
@as_json
def check(name: str, judges: bool, as_json: bool) -> None:
    """Check a channel: what every channel must do, and its own judges.

    NAME is a channel's name, or the folder of its own project, with a slash in it. Each check says
    what it saw where it fails; the status is then 1.

    \b
    bailiwick channel check sandbox
    bailiwick channel check ./acme
    """
    from bailiwick_lab.channel_suite import run
    from bailiwick_lab.channel_suite.judges import judge

    it = _found("check", name, as_json)
    done: list[Checked] = []
    for each in run.run(it):
        done.append(each)
        if not as_json:
            _show(each)
    said = judge(it) if judges else None
    good = all(each.seen is None for each in done) and (said is None or said.ok)
    if as_json:
        click.echo(json.dumps(_document(it, done, said, good), indent=2))
    else:
        _sum_up(it, done, said)
    if not good:
        sys.exit(1)


@command.command()
@click.argument("name")
@as_json
def record(name: str, as_json: bool) -> None:
    """Write a channel's transcript anew: what goes over the wire in each of its cases, redacted.

    NAME as for check. Look at the difference before you keep it.

    \b
    bailiwick channel record sandbox
    """
    from bailiwick_lab.channel_suite import transcript
    from bailiwick_lab.channel_suite.subject import Failed

    it = _found("record", name, as_json)
    try:
        written = transcript.record(it)
    except (Failed, OSError) as error:
        _fail("record", str(error), as_json)
    if as_json:
        click.echo(json.dumps({"written": str(written)}))
    else:
        click.echo(f"wrote {written}")


@command.command()
@click.argument("name")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Make a project of its own there, instead of a folder beside the other channels.",
)  # fmt: skip
@as_json
def new(name: str, folder: Path | None, as_json: bool) -> None:
    """Begin a channel: a made-up provider's, small and whole, that passes every check.

    \b
    bailiwick channel new acme
    bailiwick channel new acme --folder ./acme
    """
    from bailiwick_lab.channel_suite import skeleton

    try:
        made = skeleton.make(name, folder)
    except skeleton.CannotMake as error:
        _fail("new", str(error), as_json)
    named = name if folder is None else str(folder if "/" in str(folder) else f"./{folder}")
    from bailiwick_lab.channel_suite import transcript

    transcript.record(_found("new", named, as_json))
    files = sorted(str(each) for each in made.iterdir() if each.is_file())
    if folder is not None:
        files = [str(folder / "pyproject.toml"), *files]
    if as_json:
        click.echo(json.dumps({"name": name, "made": files}))
        return
    for file in files:
        click.echo(f"made {file}")
    click.echo(f"\nIt passes: bailiwick channel check {named}")
    if folder is not None:
        click.echo(f"Nodes find it once it is installed: pip install -e {folder}")


def _found(verb: str, name: str, as_json: bool) -> Subject:
    from bailiwick_lab.channel_suite.cases import BadCases
    from bailiwick_lab.channel_suite.found import NoChannel, found

    try:
        return found(name)
    except (NoChannel, BadCases) as error:
        _fail(verb, str(error), as_json)


def _fail(verb: str, message: str, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"error": message}))
    else:
        click.echo(f"bailiwick channel {verb}: {message}", err=True)
    sys.exit(1)


def _show(each: Checked) -> None:
    part, _, name = each.name.partition(".")
    name = name.replace("_s_", "'s ").replace("_", " ")
    sign = click.style("green", fg="green") if each.seen is None else click.style("red  ", fg="red")
    click.echo(f"{sign}  {part}: {name}")
    if each.seen is not None:
        click.echo(f"       {each.seen[:2_000]}")


def _sum_up(it: Subject, done: list[Checked], said: Judged | None) -> None:
    red = sum(each.seen is not None for each in done)
    if said is None:
        click.echo("       no judges were run")
    else:
        sign = click.style("green", fg="green") if said.ok else click.style("red  ", fg="red")
        click.echo(f"{sign}  judges of {said.place}")
        click.echo("".join(f"       {line}\n" for line in said.said.splitlines()), nl=False)
    click.echo(f"\n{it.profile.name}: {len(done)} checks, {red or 'none'} of them red")


def _document(it: Subject, done: list[Checked], said: Judged | None, good: bool) -> dict[str, Any]:
    return {
        "name": it.profile.name,
        "folder": str(it.folder),
        "ok": good,
        "checks": [
            {"name": each.name, "ok": each.seen is None, "seen": each.seen} for each in done
        ],
        "judges": None
        if said is None
        else {"place": str(said.place), "ok": said.ok, "said": said.said},
    }
