"""What typer says of a command line that it does not understand, in one line."""

from typing import Any

from ..errors import one_line


def is_misuse(error: Exception) -> bool:
    """Whether an error is typer's, which brings its own click or uses the other."""
    return hasattr(error, "format_message")


def explained(error: Any) -> str:
    """What was wrong, and where help is.

    >>> import typer
    >>> explained(typer.BadParameter("give a number", param_hint="--seed"))
    'invalid value for --seed: give a number.'
    """
    said = one_line(error.format_message())
    context = getattr(error, "ctx", None)
    told = [said[:1].lower() + said[1:] + "." * (said[-1:] not in ".?"), _on_stores(error, context)]
    if context is not None:
        told.append(f"See {context.command_path} --help.")
    return " ".join(filter(None, told))


def _on_stores(error: Any, context: Any) -> str:
    """Where a benchmark's name goes, which differs between commands."""
    command = getattr(context, "command", None)
    names = [option for each in getattr(command, "params", []) for option in each.opts]
    if "unexpected extra argument" in error.message and "--store" in names:
        return f"A benchmark is named by --store: {context.command_path} --store NAME."
    if getattr(error, "option_name", None) == "--store" and {"store", "folder"} & set(names):
        return f"The benchmark stands without --store: {context.command_path} NAME."
    return ""
