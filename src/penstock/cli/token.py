"""`penstock token`: a token for callers of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def token(
    actor: Annotated[str, typer.Option("--actor", metavar="NAME", help="Who the token is for.")],
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Sign with the key of the `penstock dev` in this directory, not PENSTOCK_SECRET_KEY.",
            show_default=False,
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="runs:act-as or runs:read-all; may be repeated."),
    ] = None,
    lifetime_hours: Annotated[
        float, typer.Option("--lifetime-hours", min=0.01, max=8760, metavar="H", help="Valid for so long.")
    ] = 24.0,
) -> None:
    """Print a token for the API.

    [bold]Examples[/]

      penstock token --actor user-123 --data-dir ./data
      curl -H "Authorization: Bearer $(penstock token --actor user-123)" http://localhost:8000/runs
    """
    from penstock.api.auth import ACT_AS, READ_ALL, Authenticator
    from penstock.cli.secret_key import read_secret_key
    from penstock.core.settings import get_service_settings

    known = {ACT_AS, READ_ALL}
    unknown = sorted(set(scope or ()) - known)
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is not one of {', '.join(sorted(known))}.", param_hint="--scope"
        )
    key = read_secret_key(data_dir) if data_dir else get_service_settings().secret_key
    typer.echo(
        Authenticator(key).issue(
            actor, scopes=frozenset(scope or ()), lifetime_seconds=round(lifetime_hours * 3600)
        )
    )
