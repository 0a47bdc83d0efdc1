"""``rotation alerts``: what fires and why, who was told, and acknowledgements."""

# ruff: noqa: ANN401 - `given` are the options that every command has, of several types

from __future__ import annotations

from typing import Any

import click

from monitor.cli.daemon_client import connect_by, daemon_options, in_path
from monitor.cli.output import JSON, format_option, print_json, print_json_indented, print_table
from monitor.cli.why_text import delivery_lines, why_lines


@click.group(short_help="What fires and why, who was told; acknowledge.")
def alerts() -> None:
    """Alerts of the running monitor: what fires and why, who was told, acknowledgements."""


@alerts.command("list")
@click.option("--state", type=click.Choice(["pending", "firing", "recovering"]), help="Only those.")
@click.option("--alert", metavar="RULE", help="Only those of a rule.")
@click.option("--severity", metavar="SEVERITY", help="Only those.")
@click.option("--matcher", "matchers", multiple=True, metavar="MATCHER", help="Only those that match, as theme=size.")
@click.option("--unacknowledged", is_flag=True, help="Only those that nobody has taken on.")
@daemon_options
@format_option
def list_alerts(*, unacknowledged: bool, form: str, matchers: tuple[str, ...], **given: Any) -> None:
    """List the alerts that are pending, firing or recovering."""
    client = connect_by(given)
    params = {name: text for name, text in given.items() if text} | {"filter": list(matchers)}
    found = client.get("/api/v1/alerts", params | ({"acknowledged": "false"} if unacknowledged else {}))
    if form == JSON:
        for each in found:
            print_json(each)
        return
    from monitor.notify.values import shown

    rows = [
        (
            f"{each['alert']}[{each['member']}]" if each["member"] else each["alert"],
            each["state"],
            each["severity"],
            each["since"] or "",
            shown(each["value"], each["value_type"]),
            _held(each),
            each["episode"],
        )
        for each in found
    ]
    print_table(("alert", "state", "severity", "since", "value", "held back", "episode"), rows, frozenset({"value"}))


@alerts.command()
@click.argument("episode")
@daemon_options
@format_option
def show(*, episode: str, form: str, **given: Any) -> None:
    """One episode: its evidence, its transitions, and who was told."""
    story = connect_by(given).get(f"/api/v1/alerts/{in_path(episode)}")
    if form == JSON:
        print_json_indented(story)
        return
    from monitor.notify.values import shown

    newest = story["now"] or (story["timeline"][0] if story["timeline"] else None)
    state = story["now"]["state"] if story["now"] else "over" if story["standing"] is None else "firing"
    click.echo(f"{episode}: {state}")
    if story["standing"] and story["standing"]["summary"]:
        click.echo(f"  {story['standing']['summary']}")
    if ack := story["acknowledged"]:
        click.echo(f"  acknowledged by {ack['by']} at {ack['at']}" + (f": {ack['comment']}" if ack["comment"] else ""))
    if story["standing"] and (held := _held({**story["standing"], "acknowledged": None})):
        click.echo(f"  {held}")
    if newest:
        click.echo("Evidence:")
        for each in newest["evidence"]["expressions"]:
            member = f"[{each['member']}] " if each.get("member") else ""
            click.echo(f"  {member}{each['expr']} = {shown(each['value'], each['type'])}")
        for symbol, price in sorted(newest["evidence"]["prices"].items()):
            click.echo(f"  {symbol} {shown(price['price'], 'price')}" + (f" at {price['ts']}" if price["ts"] else ""))
    click.echo("Transitions, newest first:")
    for each in story["timeline"]:
        value = shown(each["value"], each["value_type"])
        click.echo(f"  {each['at']}  {each['from']} to {each['to']}: {each['reason']}, value {value}")
    click.echo("Who was told, newest first:")
    for line in delivery_lines(story["deliveries"], "  "):
        click.echo(line)


@alerts.command()
@click.argument("rule")
@daemon_options
@format_option
def why(*, rule: str, form: str, **given: Any) -> None:
    """Why a rule fires or does not, part by part, and why somebody is told, or is not."""
    found = connect_by(given).get(f"/api/v1/why/{in_path(rule)}")
    if form == JSON:
        print_json_indented(found)
        return
    for line in why_lines(found):
        click.echo(line)


@alerts.command()
@click.argument("episodes", nargs=-1, required=True, metavar="EPISODE...")
@click.option("--comment", default="", metavar="TEXT", help="For whoever is told.")
@click.option("--by", metavar="NAME", help="Who takes it on; the user of this machine if not given.")
@daemon_options
def ack(*, episodes: tuple[str, ...], comment: str, by: str | None, **given: Any) -> None:
    """Take episodes on: they are neither repeated nor escalated until they are over, or worse."""
    import getpass

    client = connect_by(given)
    for episode in episodes:
        body = {"by": by or getpass.getuser(), "comment": comment}
        said = client.send("POST", f"/api/v1/alerts/{in_path(episode)}/ack", body)
        click.echo(f"{episode}: acknowledged by {said['by']}")


@alerts.command()
@click.argument("episodes", nargs=-1, required=True, metavar="EPISODE...")
@daemon_options
def unack(*, episodes: tuple[str, ...], **given: Any) -> None:
    """Give episodes back: they are repeated and escalated as if nobody had taken them on."""
    client = connect_by(given)
    for episode in episodes:
        client.send("DELETE", f"/api/v1/alerts/{in_path(episode)}/ack")
        click.echo(f"{episode}: not acknowledged any more")


@alerts.command()
@click.option("--alert", metavar="RULE", help="Only of a rule.")
@click.option("--episode", metavar="EPISODE", help="Only of an episode.")
@click.option("--from", "start", metavar="TIME", help="RFC 3339, as 2026-01-23T15:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="RFC 3339.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The newest so many.")
@click.option("--deliveries", is_flag=True, help="Who was told, instead of the transitions.")
@daemon_options
@format_option
def history(*, start: str | None, end: str | None, limit: int, deliveries: bool, form: str, **given: Any) -> None:
    """Transitions of the past, newest first, or who was told."""
    client = connect_by(given)
    params = {k: v for k, v in {"from": start, "to": end, **given}.items() if v}
    found = client.pages("/api/v1/deliveries" if deliveries else "/api/v1/transitions", params, limit)
    if form == JSON:
        for each in found:
            print_json(each)
        return
    if deliveries:
        for line in delivery_lines(list(found), ""):
            click.echo(line)
        return
    rows = [(t["at"], t["alert"], t["member"], f"{t['from']} to {t['to']}", t["reason"], t["episode"]) for t in found]
    print_table(("time", "alert", "member", "moved", "reason", "episode"), rows)


def _held(each: dict[str, Any]) -> str:
    """What keeps an alert from being told."""
    parts = [f"acknowledged by {each['acknowledged']['by']}"] if each["acknowledged"] else []
    parts += [f"silenced by {', '.join(each['silenced_by'])}"] if each["silenced_by"] else []
    parts += ["inhibited"] if each["inhibited_by"] else []
    return "; ".join(parts)
