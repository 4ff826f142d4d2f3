"""``groundtune VERB``: the table of verbs. A verb's file is imported when the verb runs, so ``--help`` costs nothing."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import click

from groundtune import __version__
from groundtune.errors import GroundtuneError, meant

VERBS = {
    "init": "make a new project folder",
    "check": "read everything, report every problem, estimate the pilot",
    "lock": "lock the test set, the rubric and the arms",
    "audit": "label what is wrong with logged answers of today's system",
    "costs": "what each arm would cost, and what that hangs on",
    "ingest": "documents → chunks → index",
    "index": "list, verify, diff, promote, rollback, gc or tune index versions",
    "access": "apply, report or explain who may read what",
    "ask": "answer one question, and show why",
    "examples": "import, export, audit, synthesize or review examples; what more of them would buy",
    "calibrate": "fit when an arm says that it does not know, on the dev questions",
    "tune": "training examples → adapters",
    "models": "list, show, compare, promote, rollback, retire or export tuned versions",
    "evaluate": "answer and score the test questions by every arm",
    "judge": "draw answers for people to label, beside a judge's verdicts",
    "probe": "stale facts, leaks, deletion, injection and load of every arm, in a copy",
    "decide": "apply the rubric and write the decision",
    "pilot": "all of it: check, lock, ingest, tune, evaluate, probe, decide",
}


class Verbs(click.Group):
    """A group that knows its verbs by name and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"groundtune.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer an unknown verb with the known ones."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise GroundtuneError(f"unknown verb {args[0]!r}{meant(args[0], VERBS)}; known: {', '.join(VERBS)}", "type: groundtune --help")
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="groundtune")
def group() -> None:
    """Measure RAG against fine-tuning on your own documents, decide, and ship the winner."""


def main(arguments: list[str] | None = None) -> None:
    """Run a verb. Exit codes: 0 done, 1 a finding, 2 the user's error, 130 interrupted."""
    try:
        code = group.main(args=arguments, prog_name="groundtune", standalone_mode=False)
    except GroundtuneError as error:
        click.echo(f"error: {error.message}", err=True)
        click.echo(f"  {error.hint}", err=True)
        sys.exit(2)
    except click.exceptions.Abort:
        _interrupted()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        click.echo(f"error: {error.format_message()}", err=True)
        click.echo(f"  type: {context.command_path if context else 'groundtune'} --help", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        _interrupted()
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"error: {error.filename}: {error.strerror}", err=True)
        place = Path(os.fsdecode(error.filename))
        click.echo(f"  mend that; see: ls -ld {place.parent} {place}", err=True)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> None:
    click.echo("interrupted; the same command goes on where this one stopped", err=True)
    sys.exit(130)
