"""``rotation schema``: JSON Schemas, for editors."""

from __future__ import annotations

import click

from monitor.cli.output import print_json_indented


@click.command(short_help="JSON Schema of rule files, their tests or rotation.yaml.")
@click.argument("what", type=click.Choice(["rules", "config", "tests"]), default="rules")
def schema(what: str) -> None:
    r"""Print the JSON Schema of rule files (or of their tests, or of rotation.yaml), for completion in an editor.

    Save it beside your files and name it on their first line:

    \b
      # yaml-language-server: $schema=rules.schema.json
    """
    if what == "config":
        from monitor.settings import config_schema

        print_json_indented(config_schema())
    elif what == "tests":
        from rules.testing.schema import tests_schema

        print_json_indented(tests_schema())
    else:
        from rules.schema import rules_schema

        print_json_indented(rules_schema())
