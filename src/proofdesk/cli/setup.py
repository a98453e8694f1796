"""`migrate` and `config`: prepare the database, show what is set."""

from proofdesk import logging, settings
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema. Every other command does so too when it starts."""
    with environment.prepared_database():
        output.print_line("The database is up to date.")


@app.command()
def config(json: JsonOption = False) -> None:
    """Show the settings in effect, secrets masked."""
    loaded = settings.load()
    logging.setup(loaded)
    shown = settings.effective_values(loaded)
    if json:
        return output.print_json(shown)
    return output.print_table(("Variable", "Value"), list(shown.items()))
