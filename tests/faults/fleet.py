"""Workers under a supervisor."""

from __future__ import annotations

import contextlib
import resource
import signal
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.stream import Stream
from tests.support.workers import WorkerProcess

CHECK_SECONDS = 0.1
FENCED_SECONDS = 60
PAGE_BYTES = resource.getpagesize()
RESTARTED = (0, 3, -signal.SIGKILL)  # by the supervisor; 1 and 2 need a person


@dataclass
class Ended:
    """A process that ended although no fault asked it to."""

    slot: str
    code: int
    last_words: str


@dataclass
class Fleet:
    """One worker a slot, restarted whenever it ends, as an orchestrator would."""

    stream: Stream
    slots: str = "abc"
    settings: dict[str, object] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    is_among_killers: bool = False  # records are about that end processes

    def __post_init__(self) -> None:
        self.workers = {slot: self._start(slot) for slot in self.slots}
        self._doomed: set[int] = set()
        self._first_bytes: dict[int, int] = {}
        self._replaced: list[WorkerProcess] = []
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()

    def doom(self, slot: str) -> WorkerProcess:
        """The worker of a slot, whose end a fault is about to cause."""
        worker = self.workers[slot]
        self._doomed.add(worker.process.pid)
        return worker

    def wait_until_ready(self) -> None:
        for worker in list(self.workers.values()):
            worker.wait_until("partitions.assigned")

    def replace(self, slot: str) -> None:
        """Start a second self in a slot; it is the slot's worker from now on."""
        self._replaced.append(self.doom(slot))
        self.start(slot)

    def wait_for_the_replaced(self) -> None:
        """They are fenced at their next transaction: a supervisor is asked to restart them."""
        while self._replaced:
            first = self._replaced.pop()
            assert first.wait(FENCED_SECONDS) == 3, first.text()[-2_000:]

    def idle(self, seconds: float) -> list[str]:
        """The slots whose workers commit nothing for so long: alive and idle, or not alive."""
        before: dict[int, float] = {}
        idle = set(self.slots)
        deadline = time.monotonic() + seconds
        while idle and time.monotonic() < deadline:
            for slot in list(idle):
                worker = self.workers[slot]
                with contextlib.suppress(OSError, IndexError):  # it has just started, or ended
                    now = _committed(worker)
                    if now > before.setdefault(worker.process.pid, now):
                        idle.remove(slot)
            time.sleep(CHECK_SECONDS)
        return sorted(idle)

    def grown_bytes(self) -> int:
        """By how much the memory of the worker that grew most has grown since it was at work."""
        now = {pid: bytes_ for pid, bytes_ in map(_memory, self.workers.values()) if bytes_}
        for pid, bytes_ in now.items():
            self._first_bytes.setdefault(pid, bytes_)
        return max((bytes_ - self._first_bytes[pid] for pid, bytes_ in now.items()), default=0)

    def close(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        self._is_closed.set()
        self._thread.join()
        for worker in self.workers.values():
            worker.process.send_signal(signal.SIGTERM)
        return [worker.wait(60) for worker in self.workers.values()]

    def start(self, slot: str) -> None:
        """Start the slot's worker, as a person does when a supervisor must not."""
        self.workers[slot] = self._start(slot)

    def device(self, slot: str) -> Path:
        """The file that breaks a slot's device."""
        return self.stream.folder / f"device-{slot}"

    def _start(self, slot: str) -> WorkerProcess:
        return self.stream.start_worker(slot, device=self.device(slot), **self.settings)

    def _supervise(self) -> None:
        while not self._is_closed.wait(CHECK_SECONDS):
            for slot, worker in list(self.workers.items()):
                code = worker.process.poll()
                if code is None or self.workers[slot] is not worker:
                    continue
                is_killed = self.is_among_killers and code == -signal.SIGKILL
                if worker.process.pid not in self._doomed and not is_killed:
                    self.ended.append(Ended(slot, code, worker.text()[-2_000:]))
                    self._doomed.add(worker.process.pid)
                if code in RESTARTED:
                    self.start(slot)


def _committed(worker: WorkerProcess) -> float:
    """Records that the worker says it has committed. Raises OSError or IndexError."""
    port = worker.events("worker.assembled")[-1]["observe_port"]
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    return float(page.partition("\nnewsieve_records_total ")[2].split()[0])


def _memory(worker: WorkerProcess) -> tuple[int, int]:
    """A worker's process and the bytes it has resident; 0 when it has ended."""
    pid = worker.process.pid
    try:
        return pid, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return pid, 0
