"""Builds students, and the path that scores with them.

Imports of torch happen inside functions, so that commands without a model start fast.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from newsieve.errors import SettingsInvalid
from newsieve.filters.calibration import NO_CALIBRATION, ScoreCalibration
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED, SUSPECT, EpochDraw, SamplingPolicy
from newsieve.inference.imports import CACHE_VARIABLE, collector_paused, keep_compiled_code
from newsieve.inference.scorer import Scorer
from newsieve.kafka.config import APP
from newsieve.programs.scoring.canaries import Canaries, CanarySet, CanaryText
from newsieve.programs.scoring.path import SHADOW_EPOCH, ScoringPath, Shadow, shadow_name
from newsieve.records.encode import FilterEncoder
from newsieve.records.replay_headers import ReplayHeaders
from newsieve.settings.loader import Settings
from newsieve.stream.logs import get_logger
from newsieve_schemas.topics import CANARIES, RAW, SCORED, SHADOW, topic_name

if TYPE_CHECKING:
    from newsieve.inference.student import Student

from newsieve.bootstrap.common import secret_key, utc_now
from newsieve.bootstrap.scoring import COMPONENT

# A candidate's records ask nothing of the oracle.
NEVER: Final = SamplingPolicy("none", "shadow", {LOW: 0.0, SURFACED: 0.0, SUSPECT: 0.0})

_log = get_logger("assemble")


@dataclass(frozen=True, slots=True)
class StudentIdentity:
    """What the records of a student's scores say about it."""

    filter: Filter
    hash: str
    dtype: str
    calibration: ScoreCalibration = NO_CALIBRATION
    is_candidate: bool = False


def student_folder(settings: Settings, filter_: Filter) -> Path:
    """The folder of a filter's student: the settings', or the built-in one."""
    return settings.student.folders.get(filter_.name, filter_.student_folder)


def load_students(settings: Settings, filters: Sequence[Filter]) -> dict[str, Student]:
    """Load every filter's student, merge its adapter, and check its canaries.

    Raises StudentInvalid or CanaryMismatch.
    """
    students: dict[str, Student] = {}
    for item in filters:
        folder = student_folder(settings, item)
        students[item.name] = _load(settings, item, folder, students.values())
    return students


def load_candidates(
    settings: Settings, filters: Sequence[Filter], loaded: Collection[Student] = ()
) -> dict[str, Student]:
    """Load the students on trial, by `shadow_name`; they share memory with those that are
    `loaded`. Raises as `load_students`."""
    folders = settings.student.candidates
    return {
        shadow_name(item.name): _load(settings, item, folders[item.name], loaded)
        for item in filters
        if item.name in folders
    }


def _load(
    settings: Settings, filter_: Filter, folder: Path, loaded: Collection[Student]
) -> Student:
    keep_compiled_code()
    with collector_paused(), _explaining_torchs_cache():
        from newsieve.inference.student import check_canaries, load_student, set_threads

    set_threads(settings.student.threads)
    chosen = settings.student.model_dump(
        include={"base", "trusted_packages", "device", "dtype", "budget_tokens"}
    )

    def warn(reason: str) -> None:
        _log.warning("forward.slower", filter=filter_.reference, reason=reason)

    student = load_student(filter_, folder, loaded=loaded, warn=warn, **chosen)
    worst = max((item[2] for item in check_canaries(student)), default=0.0)
    _log.info(
        "student.loaded",
        filter=filter_.reference,
        student=student.hash,
        device=student.device,
        dtype=student.dtype,
        canary_difference=round(worst, 5),
    )
    return student


@contextmanager
def _explaining_torchs_cache() -> Iterator[None]:
    """Name the setting where torch, when it is imported, cannot make its folder for compiled
    code."""
    try:
        yield
    except OSError as error:
        if error.filename is None:  # a library that torch needs cannot be loaded
            raise
        raise SettingsInvalid(
            f"torch cannot keep compiled code in {error.filename} ({error.strerror}): set "
            f"{CACHE_VARIABLE} to a folder that can be written"
        ) from None


def identities_of(students: Mapping[str, Student]) -> list[StudentIdentity]:
    """The identities of students that `load_students` and `load_candidates` give."""
    return [
        StudentIdentity(
            student.filter,
            student.hash,
            student.dtype,
            student.manifest.score_calibration(student.filter.tiering),
            is_candidate=name == shadow_name(student.filter.name),
        )
        for name, student in students.items()
    ]


def canaries_of(settings: Settings, students: Mapping[str, Student], scorer: Scorer) -> Canaries:
    """The canaries of the live students. A candidate's are checked only when it is loaded."""
    from newsieve.inference.student import CANARY_TOLERANCE

    sets = [
        CanarySet(
            student.filter,
            student.hash,
            student.device,
            student.dtype,
            CANARY_TOLERANCE[student.dtype],
            [CanaryText(item.id, item.text, item.scores) for item in student.canaries],
        )
        for name, student in students.items()
        if name == student.filter.name
    ]
    topic = topic_name(settings.kafka.topic_prefix, CANARIES)
    return Canaries(sets, scorer, topic, f"{APP}/{COMPONENT}/{settings.worker.group}", utc_now)


def make_scorer(
    students: dict[str, Student],
    step: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Scorer:
    """Make the scorer of these students. `step` watches what may hang."""
    from newsieve.inference.micro_batcher import MicroBatcher

    return MicroBatcher(students, step, _warn_of_budget)


def _warn_of_budget(student: Student, budget_tokens: int) -> None:
    _log.warning(
        "budget.halved",
        filter=student.filter.reference,
        device=student.device,
        budget_tokens=budget_tokens,
        advice="the device's memory did not hold a batch: set student.budget_tokens to this, "
        "or leave the device to this worker",
    )


def scoring_path(
    settings: Settings, identities: Sequence[StudentIdentity], scorer: Scorer
) -> ScoringPath:
    """Build the path of these filters: decode → rules → score → decide → encode."""
    source = f"{APP}/{COMPONENT}/{settings.worker.group}"
    trial = EpochDraw(SHADOW_EPOCH, secret_key(settings))
    encoders, shadows, calibrations = [], [], {}
    for item in identities:
        sampling = NEVER if item.is_candidate else sampling_policy(settings, item.filter)
        topic = SHADOW if item.is_candidate else SCORED
        prefix = settings.kafka.topic_prefix
        encoder = FilterEncoder(item.filter, item.hash, item.dtype, sampling, prefix, source, topic)
        if item.is_candidate:
            share = settings.student.candidate_share
            shadows.append(Shadow(encoder, item.calibration, share, trial))
        else:
            encoders.append(encoder)
            calibrations[item.filter.name] = item.calibration
    policy = settings.worker.decode_policy
    replays = replay_headers(settings, [encoder.filter.name for encoder in encoders])
    return ScoringPath(encoders, scorer, policy, utc_now, replays, calibrations, shadows)


def replay_headers(settings: Settings, filters: Sequence[str]) -> ReplayHeaders:
    """The rule that says whose `dlq.*` headers count for a worker of these filters."""
    key = secret_key(settings)
    trusted = settings.worker.dlq_headers or ("any" if key is None else "signed")
    topic = topic_name(settings.kafka.topic_prefix, RAW)
    catalogue = frozenset(settings.filters.registry.names)
    return ReplayHeaders(trusted, key, topic, frozenset(filters), catalogue)


def sampling_policy(settings: Settings, filter_: Filter) -> SamplingPolicy:
    """The shares of a filter's articles that are drawn for the oracle."""
    sampling = settings.sampling
    own = sampling.filters.get(filter_.name, {})
    pi = {
        LOW: own.get(LOW, sampling.low),
        SURFACED: own.get(SURFACED, sampling.surfaced),
        SUSPECT: own.get(SUSPECT, sampling.suspect),
    }
    return SamplingPolicy(sampling.policy, sampling.epoch, pi, secret_key(settings))
