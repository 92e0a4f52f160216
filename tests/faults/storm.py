"""The faults, each for real: what is done, and the moment from which recovery counts."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from newsieve.devbroker.java_broker import JavaBroker
from tests.faults.breakable import FAILS, KILLER, POISON, SHORT
from tests.faults.feed import Feed
from tests.faults.fleet import Fleet
from tests.faults.watcher import Place

STOP_SECONDS = 60
SHORTAGE_SECONDS = 3
KILLING_SECONDS = 240  # four processes start, one after another, on a machine that may be busy
BAD_RECORDS = 12  # two a partition, about
MAX_MESSAGE_BYTES = 1_000_000
"""What a storm's workers may produce: an article whose id makes its output larger than its raw
record is then a dead letter."""


@dataclass
class Scene:
    """What faults act upon."""

    fleet: Fleet
    broker: JavaBroker
    feed: Feed
    chance: random.Random
    deleted: set[str] = field(default_factory=set)  # topics, without their prefix

    def slot(self) -> str:
        return self.chance.choice(self.fleet.slots)


Fault = Callable[[Scene], float]  # returns when it was over, by the wall clock


def kill_a_worker(scene: Scene) -> float:
    scene.fleet.doom(scene.slot()).kill()
    return time.time()


def kill_two_workers(scene: Scene) -> float:
    for slot in scene.chance.sample(scene.fleet.slots, 2):
        scene.fleet.doom(slot).kill()
    return time.time()


def terminate_a_worker(scene: Scene) -> float:
    worker = scene.fleet.doom(scene.slot())
    assert worker.terminate(STOP_SECONDS) == 0, worker.text()[-2_000:]
    return time.time()


def rolling_restart(scene: Scene) -> float:
    for slot in scene.fleet.slots:
        worker = scene.fleet.doom(slot)
        assert worker.terminate(STOP_SECONDS) == 0, worker.text()[-2_000:]
        while scene.fleet.workers[slot] is worker:
            time.sleep(0.05)
        scene.fleet.workers[slot].wait_until("partitions.assigned")
    return time.time()


def pause_a_worker(seconds: float, *, ends_it: bool = False) -> Fault:
    """SIGSTOP; beyond the transaction's time-out the broker fences it, and it has to end."""

    def pause(scene: Scene) -> float:
        slot = scene.slot()
        worker = scene.fleet.doom(slot) if ends_it else scene.fleet.workers[slot]
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        worker.process.send_signal(signal.SIGCONT)
        return time.time()

    return pause


def second_self(scene: Scene) -> float:
    """A second worker in a slot fences the first."""
    slot = scene.slot()
    scene.fleet.replace(slot)
    scene.fleet.workers[slot].wait_until("partitions.assigned")
    return time.time()


def stall_the_broker(seconds: float) -> Fault:
    def stall(scene: Scene) -> float:
        assert scene.broker.process is not None
        os.kill(scene.broker.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(scene.broker.process.pid, signal.SIGCONT)
        return time.time()

    return stall


def kill_the_broker(scene: Scene) -> float:
    scene.broker.kill()
    scene.broker.start()
    return time.time()


def restart_the_broker(scene: Scene) -> float:
    """Gracefully: the one that hangs `send_offsets_to_transaction` in some clients."""
    assert scene.broker.process is not None
    scene.broker.process.terminate()
    scene.broker.process.wait(STOP_SECONDS)
    scene.broker.start()
    return time.time()


def fail_a_device(scene: Scene) -> float:
    """For good: its worker has to end, and asks to be restarted."""
    slot = scene.slot()
    worker = scene.fleet.doom(slot)
    scene.fleet.device(slot).write_text(FAILS)
    _give_work(scene)
    assert worker.wait(STOP_SECONDS) == 3, worker.text()[-2_000:]
    return time.time()


def starve_a_device(scene: Scene) -> float:
    """Batches that are too large run out of memory: smaller ones are made."""
    device = scene.fleet.device(scene.slot())
    device.write_text(SHORT)
    _give_work(scene)
    time.sleep(SHORTAGE_SECONDS)
    device.unlink()
    return time.time()


def poison(scene: Scene) -> float:
    """Rows on which the model fails, among good ones."""
    scene.feed.add_bad(
        json.dumps({"id": f"poison-{i}", "title": "A leak", "content": POISON}).encode()
        for i in range(BAD_RECORDS)
    )
    return time.time()


def killing_record(scene: Scene) -> float:
    """A record that ends every process that scores it, until it is given up."""
    return wait_until_given_up(scene, put_killer(scene))


def put_killer(scene: Scene) -> Place:
    """Where it stands."""
    scene.fleet.is_among_killers = True
    before = _bad_places(scene)
    value = {"id": "killer", "title": "A leak", "content": KILLER}
    scene.feed.add_bad([json.dumps(value).encode()])
    while not (found := _bad_places(scene) - before):
        time.sleep(0.05)
    return found.pop()


def wait_until_given_up(scene: Scene, place: Place) -> float:
    """And until its last victim's successor is at work."""
    partition, offset = place
    deadline = time.monotonic() + KILLING_SECONDS
    while scene.fleet.stream.committed().get(partition, 0) <= offset:
        assert time.monotonic() < deadline, f"still in the way: {place}"
        time.sleep(0.2)
    scene.fleet.wait_until_ready()
    return time.time()


def _bad_places(scene: Scene) -> set[Place]:
    return {place for place, (kind, _) in list(scene.feed.fates.items()) if kind == "dead_letter"}


def too_large(scene: Scene) -> float:
    """Records whose output no topic takes: their id is the output's key, and in it as well."""
    scene.feed.add_bad(
        json.dumps({"id": f"{i}-" + "9" * (MAX_MESSAGE_BYTES * 6 // 10), "title": "Pi"}).encode()
        for i in range(BAD_RECORDS)
    )
    return time.time()


def delete_a_topic(scene: Scene) -> float:
    """An output topic: all workers end and ask for a person, who makes it anew and starts them."""
    suffix = "oracle.requests"
    workers = [scene.fleet.doom(slot) for slot in scene.fleet.slots]
    scene.fleet.stream.delete_topic(suffix)
    scene.deleted.add(suffix)
    _give_work(scene)
    for worker in workers:
        assert worker.wait(STOP_SECONDS) == 1, worker.text()[-2_000:]
    scene.fleet.stream.create_topics()
    for slot in scene.fleet.slots:
        scene.fleet.start(slot)
    scene.fleet.wait_until_ready()
    return time.time()


def _give_work(scene: Scene) -> None:
    """Some faults are met by work alone."""
    scene.feed.is_paused = False


WORKER_FAULTS: dict[str, Fault] = {
    "worker kill -9": kill_a_worker,
    "two workers kill -9": kill_two_workers,
    "worker SIGTERM": terminate_a_worker,
    "rolling restart": rolling_restart,
    "worker paused 3 s": pause_a_worker(3),
    "worker paused 13 s": pause_a_worker(13),
    "worker paused 45 s": pause_a_worker(45, ends_it=True),
    "second worker in a slot": second_self,
    "device fails": fail_a_device,
    "device out of memory": starve_a_device,
}
RECORD_FAULTS: dict[str, Fault] = {
    "poison rows": poison,
    "killing record": killing_record,
    "output too large": too_large,
    "output topic deleted": delete_a_topic,
}
BROKER_FAULTS: dict[str, Fault] = {
    "broker stalled 3 s": stall_the_broker(3),
    "broker stalled 18 s": stall_the_broker(18),
    "broker kill -9": kill_the_broker,
    "broker restarted": restart_the_broker,
}
FAULTS = WORKER_FAULTS | RECORD_FAULTS | BROKER_FAULTS
