"""The command `biounet models`: the models that come with the package, and what their cards say."""

import typer

__all__ = ["models"]


def models() -> None:
    """List the shipped models: what for, from what, how good."""
    from biounet.config.shipped import SHIPPED, shipped_card

    for name, path in SHIPPED.items():
        card = shipped_card(name)
        typer.echo(f"{name} ({path.stat().st_size / 1e6:.1f} MB): {card.purpose}")
        scores = ", ".join(f"{metric} {value:.3f}" for metric, value in card.scores.items())
        for heading, text in (
            ("how good", f"{scores} on {card.scored_on}"),
            ("how fast", f"{card.seconds_per_megapixel:.1f} CPU seconds per megapixel"),
            ("not for", card.not_for),
            ("from", card.data),
            ("licence", card.licence),
            ("recipe", card.recipe),
            ("SHA-256", card.sha256),
        ):
            typer.echo(f"  {heading}: {text}")
    typer.echo("use one by: biounet predict NAME IMAGES --out RESULT; or begin with it: biounet train DATA --from NAME")
