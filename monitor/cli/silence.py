"""``rotation silence``: alerts that are not told for a while."""

# ruff: noqa: ANN401 - `given` are the options that every command has, of several types

from __future__ import annotations

from typing import Any

import click

from monitor.cli.daemon_client import connect_by, daemon_options, in_path
from monitor.cli.faults import Fault
from monitor.cli.output import JSON, format_option, print_json, print_table


@click.group(short_help="Keep alerts from being told for a while.")
def silence() -> None:
    """Silences of the running monitor: alerts that match are not told for a while."""


@silence.command()
@click.option(
    "--matcher", "matchers", multiple=True, required=True, metavar="MATCHER", help="As alert=lead; all must match."
)
@click.option("--for", "length", metavar="TIME", help="How long: 30m, 2h, 1h30m.")
@click.option("--from", "start", metavar="TIME", help="RFC 3339; now if not given.")
@click.option("--to", "end", metavar="TIME", help="RFC 3339, instead of --for.")
@click.option("--comment", required=True, metavar="TEXT", help="Why.")
@click.option("--by", metavar="NAME", help="Who; the user of this machine if not given.")
@daemon_options
def add(
    *,
    matchers: tuple[str, ...],
    length: str | None,
    start: str | None,
    end: str | None,
    comment: str,
    by: str | None,
    **given: Any,
) -> None:
    """Keep the alerts that match from being told; prints the silence's id."""
    import getpass

    from pydantic_core import PydanticCustomError

    from monitor.settings.durations import read_duration

    if (length is None) == (end is None):
        raise Fault("say how long with --for, or until when with --to: one of the two")
    try:
        seconds = read_duration(length) / 1e9 if length is not None else None
    except PydanticCustomError as error:
        raise Fault(f"--for: {error}") from None
    body = {
        "matchers": list(matchers),
        "starts_at": start,
        "ends_at": end,
        "seconds": seconds,
        "created_by": by or getpass.getuser(),
        "comment": comment,
    }
    click.echo(connect_by(given).send("POST", "/api/v1/silences", body)["id"])


@silence.command("list")
@click.option("--expired", is_flag=True, help="Those that have ended as well, of the last five days.")
@daemon_options
@format_option
def list_silences(*, expired: bool, form: str, **given: Any) -> None:
    """List the silences."""
    found = [s for s in connect_by(given).get("/api/v1/silences") if expired or s["state"] != "expired"]
    if form == JSON:
        for each in found:
            print_json(each)
        return
    rows = [
        (s["id"], s["state"], s["starts_at"], s["ends_at"], " ".join(s["matchers"]), s["created_by"], s["comment"])
        for s in found
    ]
    print_table(("id", "state", "from", "to", "matchers", "by", "comment"), rows)


@silence.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@daemon_options
def expire(*, ids: tuple[str, ...], **given: Any) -> None:
    """End silences now."""
    client = connect_by(given)
    for each in ids:
        client.send("DELETE", f"/api/v1/silences/{in_path(each)}")
        click.echo(f"{each}: ended")
