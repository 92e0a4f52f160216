"""`newsieve drift`: watches for drift of students and of the oracle; and its subcommands."""

from __future__ import annotations

import typer

from newsieve.bootstrap import drift as assembled
from newsieve.bootstrap.common import open_health
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.drift_decisions import accept_oracle, acknowledge, rebaseline, reject_oracle
from newsieve.cli.drift_replay import replay
from newsieve.cli.drift_status import status
from newsieve.cli.drift_tail import tail
from newsieve.cli.lifecycle import require_topics, stop_on_signals
from newsieve.stream.metrics import DriftMetrics

app = typer.Typer()


@app.callback(invoke_without_command=True)
def drift(context: typer.Context, config: ConfigOption = None) -> None:
    """Compare the oracle's labels with the student's scores and publish alerts, until SIGTERM.

    One process of a group is at work; others stand by and take over. Exit codes: 0 drained, 1 a
    person is needed, 2 the settings are wrong, 3 start it again.

    Example: newsieve drift
    """
    if context.invoked_subcommand is not None:
        return
    settings = read_settings(config)
    stop = stop_on_signals("drift")
    health = context.with_resource(open_health(settings, DriftMetrics()))
    inputs = assembled.load_filter_inputs(settings)
    require_topics(settings, assembled.drift_topics(settings))
    slot = assembled.acquire_slot(settings, health.watchdog.beat)
    running = assembled.make_monitor(settings, inputs, slot, health)
    health.watchdog.start()
    running.runner.run(running.loop, stop.is_set)


app.command()(status)
app.command()(tail)
app.command("accept-oracle")(accept_oracle)
app.command("reject-oracle")(reject_oracle)
app.command()(rebaseline)
app.command()(acknowledge)
app.command()(replay)
