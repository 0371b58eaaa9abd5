"""``tahoe webopen``: opens the node's pages in a browser, which gets a session but never the node's token."""

from __future__ import annotations

import json
import webbrowser

import click

from tahoe.cli.gateway import Gateway, with_gateway


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Print the address instead of opening a browser.")
@with_gateway
def webopen(*, only_print: bool, gateway: Gateway) -> None:
    """Open the node's pages in a browser.

    The address lets one browser in, once, and works for a minute; the browser stays let in until the node stops.
    """
    address = json.loads(gateway.request("POST", "/session").read())["url"]
    if only_print or not webbrowser.open(address):
        click.echo(address)
