"""Settings: names, defaults, ranges, the environment, and what is said of wrong ones."""

from typing import Any

import pytest

from penstock import ConfigurationError, LeaseTimings, QueueConfig, get_queue_config, set_queue_config

DEFAULTS: dict[str, Any] = {
    "redis_url": "redis://localhost:6379",
    "key_prefix": "penstock:",
    "retry_max_attempts": 3,
    "retry_base_delay": 1.0,
    "retry_max_delay": 300.0,
    "claim_idle_ms": 60_000,
    "max_job_ttl_days": 7,
    "dead_letter_ttl_days": None,
    "worker_block_ms": 5000,
    "consumer_group": "debate-workers",
    "poll_interval_ms": 1000,
    "event_groups": (),
    "max_events": 1_000_000,
    "compress_above_bytes": 4096,
}
# Least and most, and the first values beyond.
RANGES: list[tuple[str, Any, Any, Any, Any]] = [
    ("max_job_ttl_days", 1, 30, 0, 31),
    ("dead_letter_ttl_days", 1, 365, 0, 366),
    ("claim_idle_ms", 10_000, 600_000, 9_999, 600_001),
    ("retry_max_attempts", 1, 10, 0, 11),
    ("retry_base_delay", 0.1, 60.0, 0.09, 60.1),
    ("retry_max_delay", 1.0, 3600.0, 0.9, 3600.1),
    ("worker_block_ms", 1000, 30_000, 999, 30_001),
    ("poll_interval_ms", 50, 60_000, 49, 60_001),
    ("max_events", 1000, 100_000_000, 999, 100_000_001),
    ("compress_above_bytes", 256, 1_048_576, 255, 1_048_577),
]
ENVIRONMENT: list[tuple[str, str, str, str | None, Any]] = [
    ("redis_url", "PENSTOCK_REDIS_URL", "redis://one", "REDIS_URL", "redis://two"),
    ("key_prefix", "PENSTOCK_KEY_PREFIX", "one:", "ARAGORA_QUEUE_PREFIX", "two:"),
    ("retry_max_attempts", "PENSTOCK_RETRY_MAX_ATTEMPTS", "5", "ARAGORA_QUEUE_RETRY_MAX", "6"),
    ("retry_base_delay", "PENSTOCK_RETRY_BASE_DELAY", "2.5", "ARAGORA_QUEUE_RETRY_BASE_DELAY", "3.5"),
    ("retry_max_delay", "PENSTOCK_RETRY_MAX_DELAY", "25", "ARAGORA_QUEUE_RETRY_MAX_DELAY", "35"),
    ("claim_idle_ms", "PENSTOCK_CLAIM_IDLE_MS", "20000", "ARAGORA_QUEUE_CLAIM_IDLE_MS", "30000"),
    ("max_job_ttl_days", "PENSTOCK_MAX_JOB_TTL_DAYS", "8", "ARAGORA_QUEUE_MAX_TTL_DAYS", "9"),
    ("worker_block_ms", "PENSTOCK_WORKER_BLOCK_MS", "2000", "ARAGORA_QUEUE_WORKER_BLOCK_MS", "3000"),
    ("consumer_group", "PENSTOCK_CONSUMER_GROUP", "one", "ARAGORA_QUEUE_CONSUMER_GROUP", "two"),
    ("poll_interval_ms", "PENSTOCK_POLL_INTERVAL_MS", "100", None, None),
    ("max_events", "PENSTOCK_MAX_EVENTS", "5000", None, None),
    ("compress_above_bytes", "PENSTOCK_COMPRESS_ABOVE_BYTES", "1000", None, None),
    ("dead_letter_ttl_days", "PENSTOCK_DEAD_LETTER_TTL_DAYS", "90", None, None),
]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, ours, _, theirs, _ in ENVIRONMENT:
        monkeypatch.delenv(ours, raising=False)
        if theirs:
            monkeypatch.delenv(theirs, raising=False)
    monkeypatch.delenv("PENSTOCK_EVENT_GROUPS", raising=False)


def test_names_and_defaults() -> None:
    assert QueueConfig().model_dump() == DEFAULTS


@pytest.mark.parametrize(("name", "least", "most", "below", "above"), RANGES)
def test_ranges(name: str, least: Any, most: Any, below: Any, above: Any) -> None:
    assert getattr(QueueConfig(**{name: least}), name) == least
    assert getattr(QueueConfig(**{name: most}), name) == most
    for wrong in (below, above):
        with pytest.raises(ConfigurationError) as caught:
            QueueConfig(**{name: wrong})
        assert str(caught.value).startswith(f"{name}: Input should be ")
        assert f"got {wrong}" in str(caught.value)


@pytest.mark.parametrize(("name", "ours", "our_value", "theirs", "their_value"), ENVIRONMENT)
def test_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    ours: str,
    our_value: str,
    theirs: str | None,
    their_value: str,
) -> None:
    kind = int if DEFAULTS[name] is None else type(DEFAULTS[name])
    if theirs:
        monkeypatch.setenv(theirs, their_value)
        assert getattr(QueueConfig(), name) == kind(their_value)
    monkeypatch.setenv(ours, our_value)
    assert getattr(QueueConfig(), name) == kind(our_value), "PENSTOCK_* comes first"
    assert getattr(QueueConfig(**{name: DEFAULTS[name]}), name) == DEFAULTS[name], "code wins"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PENSTOCK_CLAIM_IDLE_MS", "soon"),
        ("ARAGORA_QUEUE_CLAIM_IDLE_MS", "5"),
        ("PENSTOCK_RETRY_BASE_DELAY", "nan"),
        ("PENSTOCK_MAX_JOB_TTL_DAYS", "7.5"),
        ("ARAGORA_QUEUE_MAX_TTL_DAYS", "99"),
        ("PENSTOCK_KEY_PREFIX", ""),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        QueueConfig()
    assert variable in str(caught.value)
    assert f"got {value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "groups"),
    [("history", ("history",)), ("history,relay", ("history", "relay")), (" a , b ", ("a", "b")), ("", ())],
)
def test_groups_in_the_environment_are_a_list_with_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, groups: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PENSTOCK_EVENT_GROUPS", value)
    assert QueueConfig().event_groups == groups


@pytest.mark.parametrize("prefix", ["", "a{b}:", "with space", "x" * 65, "new\nline"])
def test_a_prefix_that_would_break_keys_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="key_prefix"):
        QueueConfig(key_prefix=prefix)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("claim_idel_ms", "claim_idle_ms"),
        ("retry_attempts", "retry_max_attempts"),
        ("redis_uri", "redis_url"),
    ],
)
def test_a_misspelt_setting_is_recognised(wrong: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown setting '{wrong}'; did you mean '{meant}'\\?"):
        QueueConfig(**{wrong: 5})


def test_a_setting_like_no_other_gets_the_list() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown setting 'zzz'; known are \['claim_idle_ms', "):
        QueueConfig(zzz=1)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        QueueConfig(claim_idle_ms=5, max_job_ttl_days=0, retry_max_attempts="many")
    assert all(
        name in str(caught.value) for name in ("claim_idle_ms", "max_job_ttl_days", "retry_max_attempts")
    )


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        QueueConfig().claim_idle_ms = 20_000


def test_the_settings_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    set_queue_config(None)
    monkeypatch.setenv("REDIS_URL", "redis://first")
    assert get_queue_config().redis_url == "redis://first"
    monkeypatch.setenv("REDIS_URL", "redis://second")
    assert get_queue_config().redis_url == "redis://first", "read once"
    mine = QueueConfig(claim_idle_ms=20_000)
    set_queue_config(mine)
    assert get_queue_config() is mine
    set_queue_config(None)
    assert get_queue_config().redis_url == "redis://second"
    set_queue_config(None)


def test_the_retention_in_milliseconds() -> None:
    assert QueueConfig(max_job_ttl_days=2).ttl_ms == 172_800_000


class TestLeaseTimings:
    """How quickly death is noticed."""

    def test_defaults_and_milliseconds(self) -> None:
        timings = LeaseTimings()
        assert (timings.beat_seconds, timings.presumed_dead_seconds, timings.stall_seconds) == (5, 15, 120)
        assert (timings.beat_ms, timings.lease_ms) == (5000, 15_000)
        assert LeaseTimings(0.1, 0.3, 0.3).lease_ms == 300

    @pytest.mark.parametrize(
        "values", [(0, 15, 120), (-1, 15, 120), (8, 15, 120), (5, 15, 14), (float("nan"), 15, 120)]
    )
    def test_timings_under_which_healthy_workers_lose_jobs(self, values: tuple[float, float, float]) -> None:
        with pytest.raises(ConfigurationError, match="must"):
            LeaseTimings(*values)
