"""FastStream in batches, at least once: consume, publish, commit. Run in its own environment."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from faststream import FastStream
from faststream.confluent import KafkaBroker
from meter import Meter, read_task


async def main() -> None:
    task = read_task()
    broker = KafkaBroker(task.servers, logger=None, log_level=logging.ERROR)
    app = FastStream(broker, logger=None)
    done, meter = 0, Meter()

    async def as_it_is(message: Any) -> Any:
        return message.body

    @broker.subscriber(
        task.topic,
        group_id=task.group,
        batch=True,
        max_records=500,
        auto_offset_reset="earliest",
        decoder=as_it_is,
    )
    async def forward(bodies: list[bytes]) -> None:
        nonlocal done
        await broker.publish_batch(*bodies, topic=task.out)
        done += len(bodies)
        if done >= task.records:
            meter.report(done)
            app.exit()

    await app.run()


asyncio.run(main())
