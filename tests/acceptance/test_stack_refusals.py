"""Bad input over HTTP, and a history that is away: clear answers, no traceback, nothing lost."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from penstock.store.embedded.ports import free_port
from tests.acceptance.command_line import TRACEBACK
from tests.harness.dev_stack import DevStack
from tests.harness.processes import ManagedProcess, ProcessStarter

pytestmark = pytest.mark.xdist_group("dev")

ACTOR = "user-123"
GOOD: dict[str, Any] = {"goal": "Count the files.", "actor": ACTOR}
SECRET_KEY = "a secret key of the tests, long enough"


@pytest.fixture(scope="module")
def client(dev_stack: DevStack) -> Iterator[httpx.Client]:
    """A caller with a good token. No answer may ever have led to a traceback."""
    with httpx.Client(base_url=dev_stack.url, headers=dev_stack.headers(ACTOR)) as client:
        yield client
    assert TRACEBACK not in dev_stack.output


def refused(response: httpx.Response, status: int) -> str:
    """What a refusal says; it has a status and a `detail` in words, and nothing else."""
    assert response.status_code == status, response.text
    said = response.json()
    assert said.keys() == {"detail"}
    assert isinstance(said["detail"], str)
    return str(said["detail"])


@pytest.mark.parametrize("body", [b"", b"{", b"goal=Count the files.", b"\xff\xfe", b"[" * 5000])
def test_a_body_that_is_not_json(client: httpx.Client, body: bytes) -> None:
    assert "JSON" in refused(client.post("/act", content=body), 400)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"goal": 7}, "goal"),
        ({"goal": ""}, "goal"),
        ({"goal": "   "}, "goal must not be empty"),
        ({"goal": "x" * 10_001}, "goal has 10,001 characters"),
        ({"goal": None}, "goal"),
        ({"actor": ["a"]}, "actor"),
        ({"context": "folder"}, "context"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": "many"}, "max_steps"),
        ({"timeout_seconds": -1}, "timeout_seconds"),
        ({"model": 3}, "model"),
        ({"gaol": "Count the files."}, "gaol"),
        ({"autonomy_level": "L9_Anything"}, "autonomy_level"),
        ({"autonomy_level": "L0_Ask"}, "L0_Ask waits for approvals"),
        ({"autonomy_level": "L1_Draft"}, "L1_Draft waits for approvals"),
    ],
)
def test_wrong_values_are_named(client: httpx.Client, change: dict[str, Any], said: str) -> None:
    assert said in refused(client.post("/act", json={**GOOD, **change}), 422)


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null"])
def test_json_that_is_no_request(client: httpx.Client, body: str) -> None:
    refused(client.post("/act", content=body), 422)


def test_a_body_that_is_too_large(client: httpx.Client) -> None:
    big = {**GOOD, "context": {"text": "x" * 1_100_000}}
    assert "limit" in refused(client.post("/act", json=big), 413)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://10.0.0.1/hook",
            "http://192.168.1.7/hook",
            "http://172.16.0.1/",
            "http://169.254.169.254/x",
        ),
        *("http://[::ffff:10.0.0.1]/", "http://[fe80::1]/", "http://0.0.0.0/", "http://2130706433/"),
        *("ftp://example.com/", "file:///etc/passwd", "nonsense", "http://user:word@example.com/"),
    ],
)
def test_a_webhook_url_that_leads_where_none_may_go(client: httpx.Client, url: str) -> None:
    answer = client.post("/act", params={"background": "true", "webhook_url": url}, json=GOOD)
    refused(answer, 422)


@pytest.mark.parametrize("query", ["status=sleeping", "limit=0", "limit=many", "before=yesterday"])
def test_questions_to_the_history_that_cannot_be_asked(client: httpx.Client, query: str) -> None:
    assert query.partition("=")[0] in refused(client.get(f"/runs?{query}"), 422)


def test_runs_that_are_not_there_and_runs_of_others(client: httpx.Client, dev_stack: DevStack) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert unknown in refused(client.get(f"/runs/{unknown}/status"), 404)
    refused(client.get("/runs/no%20such/status"), 422)
    own = client.post("/act", json=GOOD).json()["run_id"]
    refused(httpx.get(f"{dev_stack.url}/runs/{own}/status", headers=dev_stack.headers("eve")), 404)
    assert "runs:read-all" in refused(client.get("/runs?actor=eve"), 403)
    assert "runs:act-as" in refused(client.post("/act", json={**GOOD, "actor": "eve"}), 403)
    trusted = dev_stack.headers("ops", frozenset({"runs:act-as", "runs:read-all"}))
    assert httpx.get(f"{dev_stack.url}/runs/{own}/status", headers=trusted).status_code == 200
    assert httpx.post(f"{dev_stack.url}/act", headers=trusted, json=GOOD).status_code == 200


def unsigned(claims: dict[str, Any]) -> str:
    """A token with `alg: none`, as somebody would write it who hopes that nobody looks."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


def test_tokens_that_do_not_count(dev_stack: DevStack) -> None:
    in_an_hour = 4_000_000_000
    key = (dev_stack.data_dir / "secret.key").read_text()
    claims = {"sub": ACTOR, "exp": in_an_hour}
    tokens = {
        "": "Authorization: Bearer",
        "nonsense": "not valid",
        dev_stack.token(ACTOR, lifetime_seconds=-10): "expired",
        unsigned(claims): "HS256",
        jwt.encode(claims, "another key, that is long enough too", algorithm="HS256"): "not valid",
        jwt.encode(claims, key.ljust(64, "x")[:64], algorithm="HS512"): "HS256",
        jwt.encode({"sub": ACTOR}, key, algorithm="HS256"): "exp",
        jwt.encode({"exp": in_an_hour}, key, algorithm="HS256"): "sub",
        jwt.encode({"sub": "", "exp": in_an_hour}, key, algorithm="HS256"): "sub",
        jwt.encode({**claims, "scope": 7}, key, algorithm="HS256"): "scope",
    }
    for token, said in tokens.items():
        headers = {"Authorization": f"Bearer {token}".strip()}
        answer = httpx.post(f"{dev_stack.url}/act", headers=headers, json=GOOD)
        assert said in refused(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Bearer" in refused(httpx.get(f"{dev_stack.url}/runs"), 401)


def test_paths_and_methods_that_are_not_there(client: httpx.Client) -> None:
    refused(client.get("/nowhere"), 404)
    refused(client.get("/act"), 405)


async def started(processes: ProcessStarter, *words: str, **settings: str) -> ManagedProcess:
    """A service of the run service on the test's Valkey, with a PostgreSQL that is not there."""
    away = f"postgresql://somebody:pass-word@127.0.0.1:{free_port()}/penstock"
    given = {"PENSTOCK_DATABASE_URL": away, "PENSTOCK_SECRET_KEY": SECRET_KEY, **settings}
    return await processes.python("-m", "penstock", *words, environment=given)


async def test_postgresql_away_at_the_start(processes: ProcessStarter) -> None:
    port = free_port()
    api = await started(processes, "api", "--port", str(port))
    keeper = await started(processes, "keeper")
    worker = await started(processes, "worker")
    await api.line("listening", timeout_seconds=30)
    assert "127.0.0.1" in await keeper.line("keeper: PostgreSQL at .* did not answer", timeout_seconds=30)
    token = jwt.encode({"sub": ACTOR, "exp": 4_000_000_000}, SECRET_KEY, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as client:
        done = await client.post("/act", json={"goal": "Bake a cake.", "actor": ACTOR})
        assert (done.status_code, done.json()["status"]) == (200, "failed")
        status = await client.get(f"/runs/{done.json()['run_id']}/status")
        assert "the offline model cannot plan this" in status.json()["error_message"]
        health = await client.get("/healthz")
        assert health.status_code == 200
        assert "PostgreSQL" in health.json()["history"]
        listed = await client.get("/runs")
        assert "PENSTOCK_DATABASE_URL" in refused(listed, 503)
        assert listed.headers["Retry-After"]
    for process in (api, keeper, worker):
        process.terminate()
    assert [await one.exited(30) for one in (api, keeper, worker)] == [0, 0, 0]
    output = "\n".join(one.output for one in (api, keeper, worker))
    assert TRACEBACK not in output
    assert "pass-word" not in output


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (["api"], {"PENSTOCK_SECRET_KEY": "short"}, "PENSTOCK_SECRET_KEY"),
        (["keeper"], {"PENSTOCK_DATABASE_URL": "mysql://somewhere/db"}, "postgresql://"),
        (["worker", "--queue", "elsewhere"], {}, "carries no built-in kind"),
    ],
)
async def test_settings_that_cannot_work_are_refused_at_the_start(
    processes: ProcessStarter, words: list[str], settings: dict[str, str], said: str
) -> None:
    process = await started(processes, *words, **settings)
    assert await process.exited(30) == 2
    assert said in process.stderr[-1]
    assert TRACEBACK not in process.output
