"""Commands under one name: what is misspelt is answered with what is nearest, and `help` tells of
each."""

from __future__ import annotations

import click

from loracle.errors import UsageError, nearest

__all__ = ["CommandGroup", "help_command"]


class CommandGroup(click.Group):
    """click's own offers all that are somewhat near, in the order of the alphabet."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; raises UsageError, with the nearest, if there is
        none, and if an option with one value is given twice: click would take the last."""
        name = args[0]
        known = self.get_command(ctx, name) is not None or name.startswith("-")
        if not known and not ctx.resilient_parsing:
            raise click.UsageError(_unknown(name, self), ctx)
        found, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:
            _refuse_twice(click.Context(command, parent=ctx, info_name=found), rest)
        return found, command, rest


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_command(context: click.Context, names: tuple[str, ...]) -> None:
    """Show what --help shows, of all or of one COMMAND."""
    above = context.find_root()
    for name in names:
        group = above.command
        inner = group.get_command(above, name) if isinstance(group, click.Group) else None
        if inner is None:
            raise UsageError(_unknown(name, group))
        above = click.Context(inner, parent=above, info_name=name)
    click.echo(above.get_help())


def _refuse_twice(context: click.Context, arguments: list[str]) -> None:
    try:
        _, _, order = context.command.make_parser(context).parse_args(list(arguments))
    except click.UsageError:
        return  # The command tells of it.
    if any(option.is_eager for option in order):
        return  # --help, which does nothing else.
    given: set[str] = set()
    for option in order:
        if not isinstance(option, click.Option) or option.is_flag or option.multiple:
            continue
        if option.name in given:
            name = max(option.opts, key=len)
            raise click.UsageError(f"{name} is given twice and takes one value", context)
        given.add(str(option.name))


def _unknown(name: str, group: click.Command) -> str:
    return f"no command {name!r}{nearest(name, getattr(group, 'commands', ()))}"
