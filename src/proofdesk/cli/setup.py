"""`migrate` and `config`: prepare the database, show what is set."""

from proofdesk import logging, settings
from proofdesk.cli import app, machine, output
from proofdesk.cli.output import AsJson


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema. Every other command does so too when it starts."""
    with machine.prepared():
        output.say("The database is up to date.")


@app.command()
def config(json: AsJson = False) -> None:
    """Show the settings in effect, secrets masked."""
    loaded = settings.load()
    logging.setup(loaded)
    shown = settings.shown(loaded)
    if json:
        return output.as_json(shown)
    return output.table(("Variable", "Value"), list(shown.items()))
