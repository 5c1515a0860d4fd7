"""What rules and stories choose from."""

from hypothesis import strategies as st

from tests.torture.actors import DAY_MS, JOB_IDS, WORKERS
from tests.torture.model_parts import Options

ids = st.sampled_from(JOB_IDS)
workers = st.sampled_from(WORKERS)
picks = st.integers(0, 30)
lanes = st.sampled_from(["normal", "normal", "high", "low"])
delays = st.sampled_from([0, 0, 0, 1_000, 60_000])
kinds = st.sampled_from(
    ["complete", "complete", "fail", "retry", "cancel", "release", "defer", "lapse", "suspend", "back_off"]
)
STEP_NAMES = ["read", "think", "write", "check"]
step_names = st.sampled_from(STEP_NAMES)
counts = st.integers(1, 4)
damages = st.sampled_from(["attempt", "status", "type"])
KEYS = ["red", "blue"]
RATE = "llm"
keys = st.sampled_from([None, *KEYS])
keyed = st.builds(
    Options,
    key=st.sampled_from(KEYS),
    limit=st.sampled_from([None, 1, 2]),
    rate=st.sampled_from([None, None, RATE]),
)
rated = st.builds(Options, key=keys, rate=st.just(RATE), units=st.sampled_from([0, 30, 80, 200]))
unique = st.builds(
    Options, unique=st.sampled_from(["u", "v"]), policy=st.sampled_from(["existing", "reject", "replace"]),
    window_ms=st.sampled_from([0, 0, 60_000]), key=keys,
)  # fmt: skip
kept = st.builds(Options, keep_ms=st.sampled_from([0, 1_000, 3 * DAY_MS]))
options = st.one_of(st.just(Options()), keyed, keyed, rated, unique, kept)
flow_keys = st.sampled_from([*KEYS, RATE])
signal_names = st.sampled_from(["go", "stop"])
policies = st.sampled_from(["cancel", "cancel", "fail", "run", "run"])
feeds = st.sampled_from(["watch", "emit", "emit", "units", "units", "cost"])
amounts = st.sampled_from([0.5, 10, 40, 250])
MINUTE_MS = 60_000
policies_of_unique = st.sampled_from(["existing", "reject", "replace"])
endings = st.sampled_from(["complete", "complete", "fail", "cancel", "retry", "lapse"])
chunks = st.sampled_from([1, 2, 64])
