"""The faults, each for real: what is done, and the moment from which recovery counts."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.fleet import Fleet
from worker.kafka.broker import JavaBroker

STOP_SECONDS = 60


@dataclass
class Scene:
    """What faults act upon."""

    fleet: Fleet
    broker: JavaBroker
    chance: random.Random

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


WORKER_FAULTS: dict[str, Fault] = {
    "worker kill -9": kill_a_worker,
    "two workers kill -9": kill_two_workers,
    "worker SIGTERM": terminate_a_worker,
    "rolling restart": rolling_restart,
    "worker paused 3 s": pause_a_worker(3),
    "worker paused 13 s": pause_a_worker(13),
    "worker paused 45 s": pause_a_worker(45, ends_it=True),
    "second worker in a slot": second_self,
}
BROKER_FAULTS: dict[str, Fault] = {
    "broker stalled 3 s": stall_the_broker(3),
    "broker stalled 18 s": stall_the_broker(18),
    "broker kill -9": kill_the_broker,
    "broker restarted": restart_the_broker,
}
FAULTS = WORKER_FAULTS | BROKER_FAULTS
