"""``rotation notify``: messages that were given up, sending them again, and test messages."""

# ruff: noqa: ANN401 - `given` are the options that every command has, of several types

from __future__ import annotations

from typing import Any, Final

import click

from monitor.cli.daemon_client import connect_by, daemon_options
from monitor.cli.faults import Exit, Fault
from monitor.cli.output import JSON, format_option, print_json, print_table

_AT_ONCE: Final = 1_000
"""Ids in one request."""
_PATIENCE: Final = 600.0
"""Seconds for a service's answer: the receiver's own deadline is what ends the wait."""


@click.group(short_help="Messages that were given up; test a receiver.")
def notify() -> None:
    """Receivers of the running monitor: messages that were given up, sending them again, test messages."""


@notify.command()
@click.option("--receiver", metavar="NAME", help="Only those to a receiver.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The newest so many.")
@daemon_options
@format_option
def dead(*, receiver: str | None, limit: int, form: str, **given: Any) -> None:
    """List the messages that were given up, newest first, and why."""
    found = connect_by(given).pages("/api/v1/notify/dead", {"receiver": receiver} if receiver else {}, limit)
    if form == JSON:
        for each in found:
            print_json(each)
        return
    rows = [
        (
            each["id"],
            each["given_up_at"],
            each["receiver"],
            f"{each['alert']}[{each['member']}]" if each["member"] else each["alert"],
            each["kind"],
            str(each["attempts"]),
            each["error"],
        )
        for each in found
    ]
    print_table(("id", "given up", "receiver", "alert", "kind", "tries", "error"), rows, frozenset({"tries"}))


@notify.command()
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--receiver", metavar="NAME", help="All to a receiver.")
@click.option("--all", "every", is_flag=True, help="All.")
@daemon_options
@format_option
def requeue(*, ids: tuple[str, ...], receiver: str | None, every: bool, form: str, **given: Any) -> None:
    """Send messages again that were given up, with the idempotency keys they had."""
    if bool(ids) + (receiver is not None) + every != 1:
        raise Fault("say which: ids as `rotation notify dead` lists them, or --receiver NAME, or --all")
    client = connect_by(given)
    bodies: list[dict[str, Any]] = [{"ids": ids[at : at + _AT_ONCE]} for at in range(0, len(ids), _AT_ONCE)]
    done = [
        client.send("POST", "/api/v1/notify/requeue", body, patience=_PATIENCE)
        for body in bodies or [{"receiver": receiver} if receiver is not None else {"all": True}]
    ]
    left = [each for said in done for each in said["left"]]
    if form == JSON:
        print_json({"requeued": [each for said in done for each in said["requeued"]], "left": left})
    else:
        click.echo(f"{sum(len(said['requeued']) for said in done)} sent again")
    if left:
        raise Fault(f"not among the dead letters (any more): {', '.join(left)}", Exit.NO)


@notify.command()
@click.argument("receiver", required=False)
@daemon_options
@format_option
def test(*, receiver: str | None, form: str, **given: Any) -> None:
    """Send a test message through a receiver, or through all, and say what the service answered."""
    client = connect_by(given)
    names = [receiver] if receiver else [each["name"] for each in client.get("/api/v2/receivers")]
    failed = []
    for name in names:
        said = client.send("POST", "/api/v1/notify/test", {"receiver": name}, patience=_PATIENCE)
        if form == JSON:
            print_json(said)
        else:
            about = f": {said['detail']}" if said["detail"] else ""
            click.echo(f"{name} ({said['target']}): {said['verdict']} in {said['seconds']:.1f} s{about}")
        if said["verdict"] != "delivered":
            failed.append(name)
    if failed:
        raise Fault(f"not reached: {', '.join(failed)}", Exit.NO)
