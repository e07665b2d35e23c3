"""The command line: a demo, a local server to test against, and the feed as lines of JSON.

It may import the public names, ``checkpoints``, ``emulator``, ``http``, ``observers``,
``sessions``, ``tasks``, ``telemetry``, ``wire`` and the modules at the top; only ``__main__``
imports it. Each command has its own module.
"""

from coachstream import __version__

try:
    import click
    import rich  # noqa: F401  # used by the commands; here only to say what is missing
except ModuleNotFoundError as error:  # the library itself needs neither
    missing = str(error.name).partition(".")[0]
    raise SystemExit(f"the command line needs {missing}: pip install 'coachstream[cli]'") from None

from . import checkpoint, demo, emulate, tail  # they import both


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="coachstream")
def main() -> None:
    """Follow Samsara's coaching sessions. Start with `coachstream demo`: it needs no account."""


for module in (demo, emulate, tail, checkpoint):
    main.add_command(module.command)
