"""``python -m modeler``: learn from the stream or in batch, and judge models."""

from __future__ import annotations

import logging
import signal
import sys

import structlog
import typer

from modeler.dead_letters import dead_letters
from modeler.evaluate import evaluate
from modeler.fit import fit
from modeler.models import models
from modeler.race import race
from modeler.refit import refit
from modeler.simulate import simulate
from modeler.tune import tune
from modeler.verify import verify
from recommender.errors import Fenced, RecommenderError, Unavailable
from recommender.settings import load

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(evaluate)
app.command()(fit)
app.command()(refit)
app.command()(simulate)
app.command()(tune)
app.command()(verify)
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(models, name="models")
app.add_typer(race, name="race")

# Exit codes: 1 where trying again may help, 2 for what a person must correct, 3 where another
# modeler has the model.
_UNAVAILABLE, _WRONG, _FENCED = 1, 2, 3


@app.command()
def stream() -> None:
    """Learn from the rating log, micro-batch after micro-batch, until stopped."""
    from modeler.settings import ModelerSettings
    from modeler.steps import KillSettings
    from modeler.stream import Stream
    from service.logs import configure_logs

    settings = load(ModelerSettings)
    load(KillSettings)
    configure_logs(settings.log_level)
    # It tells of each call between Python and the JVM, and repeats errors that Spark logs anyway.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    learning = Stream(settings)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: learning.stop())
    learning.run()


def main() -> None:
    """Run a command; an error raised on purpose is one sentence and an exit code."""
    try:
        app()
    except RecommenderError as error:
        structlog.get_logger(__name__).error(str(error))
        codes = {Fenced: _FENCED, Unavailable: _UNAVAILABLE}
        sys.exit(next((codes[kind] for kind in codes if isinstance(error, kind)), _WRONG))


if __name__ == "__main__":
    main()
