"""`migrate` and `config`: migrate the database, show the settings."""

from proofdesk import logging, settings
from proofdesk.cli import app, environment, output
from proofdesk.cli.output import JsonOption


@app.command()
def migrate() -> None:
    """Migrate the database to the newest schema. Every other command also does this when it starts."""
    with environment.prepared_database():
        output.print_line("The database is up to date.")


@app.command()
def config(json: JsonOption = False) -> None:
    """Show the settings in effect. Secrets are masked."""
    loaded = settings.load()
    logging.setup(loaded)
    masked = settings.effective_values(loaded)
    if json:
        return output.print_json(masked)
    return output.print_table(("Variable", "Value"), list(masked.items()))
