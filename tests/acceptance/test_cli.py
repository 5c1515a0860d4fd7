"""The command line as its users meet it: real processes, a real server, exit codes and messages."""

import asyncio
import json
from pathlib import Path

import pytest

import penstock as package
from penstock.store.embedded.ports import free_port
from tests.acceptance.command_line import TRACEBACK, penstock, written
from tests.conftest import MakeQueue
from tests.harness.processes import ProcessStarter
from tests.harness.servers import Server

HANDLERS = """
async def greet(ctx):
    await ctx.progress(50, "greeting")
    return {"greeting": "hello " + ctx.payload["name"]}

def shout(ctx):
    return ctx.payload["name"].upper()

HANDLERS = {"greet": greet, "shout": shout}
NUMBER = 7
"""


class TestHelp:
    async def test_version(self) -> None:
        finished = await penstock("--version")
        assert (finished.code, finished.stdout) == (0, f"penstock {package.__version__}\n")

    async def test_help_names_the_commands_and_the_exit_codes(self) -> None:
        finished = await penstock("--help")
        assert finished.code == 0
        for word in ("worker", "enqueue", "status", "demo", "4 no such job", "PENSTOCK_REDIS_URL"):
            assert word in finished.stdout

    @pytest.mark.parametrize("command", ["worker", "enqueue", "status", "demo"])
    async def test_each_command_has_examples(self, command: str) -> None:
        finished = await penstock(command, "--help")
        assert finished.code == 0
        assert f"penstock {command}" in finished.stdout.partition("Examples")[2]

    async def test_help_loads_nothing_heavy(self) -> None:
        """Every module here costs a person who asks for help more than the help itself."""
        finished = await penstock("--help", extra_environment={"PYTHONPROFILEIMPORTTIME": "1"})
        imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
        assert {"typer", "penstock.cli.app"} <= imported
        assert imported & {"redis", "pydantic", "uvloop", "asyncio", "msgspec", "structlog"} == set()

    async def test_an_unknown_option_is_a_usage_error(self) -> None:
        finished = await penstock("enqueue", "--quue", "mail")
        assert finished.code == 2
        assert "--queue" in finished.stderr
        assert TRACEBACK not in finished.stderr


class TestEnqueue:
    async def test_prints_the_id_and_the_job_is_there(self, valkey: Server, make_queue: MakeQueue) -> None:
        words = ["--queue", "mail", "--type", "send", "--payload", '{"to": "ada"}', "--max-attempts", "5"]
        finished = await penstock("enqueue", *words, "--priority", "3", redis_url=valkey.url)
        assert finished.code == 0, finished.stderr
        job = await (await make_queue("mail")).get_status(finished.stdout.strip())
        assert job is not None
        assert (job.type, job.payload, job.max_attempts, job.priority) == ("send", {"to": "ada"}, 5, 3)
        assert job.status.value == "pending"

    async def test_json_with_an_id_and_a_delay(self, valkey: Server, make_queue: MakeQueue) -> None:
        finished = await penstock(
            "enqueue", "--id", "order-17", "--delay", "60", "--json", redis_url=valkey.url
        )
        assert json.loads(finished.stdout) == {"id": "order-17", "queue": "default"}
        job = await (await make_queue()).get_status("order-17")
        assert job is not None
        assert (job.status.value, job.payload) == ("scheduled", {})

    @pytest.mark.parametrize("words", [["-"], ["--payload", "-"], ["--payload-file", "-"]])
    async def test_reads_the_payload_from_stdin(
        self, valkey: Server, make_queue: MakeQueue, words: list[str]
    ) -> None:
        finished = await penstock(
            "enqueue", "--id", "in", *words, redis_url=valkey.url, stdin='{"ä": [1]}'.encode()
        )
        assert finished.code == 0, finished.stderr
        job = await (await make_queue()).get_status("in")
        assert job is not None
        assert job.payload == {"ä": [1]}

    async def test_reads_the_payload_from_a_file(
        self, valkey: Server, make_queue: MakeQueue, tmp_path: Path
    ) -> None:
        written(tmp_path, {"mail.json": '[1, "two"]'})
        finished = await penstock(
            "enqueue", "--id", "file", "--payload-file", "mail.json", redis_url=valkey.url, cwd=tmp_path
        )
        assert finished.code == 0, finished.stderr
        job = await (await make_queue()).get_status("file")
        assert job is not None
        assert job.payload == [1, "two"]

    @pytest.mark.parametrize(
        ("words", "stdin", "said"),
        [
            (["--payload", "{'to': 1}"], None, "not JSON"),
            (["--payload", '{"a": NaN}'], None, "NaN"),
            (["--payload", "[" * 100_000], None, "nested too deeply"),
            (["--payload", ""], None, "not JSON"),
            (["-"], b"\xff\xfe", "not UTF-8"),
            (["--payload-file", "missing.json"], None, "No such file"),
            (["--payload", "{}", "-"], b"{}", "once"),
            (['{"to": 1}'], None, "--payload"),
            (["--max-attempts", "0"], None, "--max-attempts"),
            (["--delay", "-1"], None, "--delay"),
            (["--priority", "urgent"], None, "--priority"),
        ],
    )
    async def test_wrong_input_is_a_usage_error(
        self, valkey: Server, make_queue: MakeQueue, words: list[str], stdin: bytes | None, said: str
    ) -> None:
        finished = await penstock("enqueue", *words, redis_url=valkey.url, stdin=stdin)
        assert (finished.code, finished.stdout) == (2, "")
        assert said in finished.stderr
        assert TRACEBACK not in finished.stderr
        stats = await (await make_queue()).get_queue_stats()
        assert stats["stream_length"] == 0

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--queue", "no spaces"], "queue name 'no spaces'"),
            (["--id", "a/b"], "job id 'a/b'"),
            (["--type", "what?"], "job type 'what?'"),
            (["--redis-url", "http://example.org"], "is not a Redis URL"),
            (["--delay", "inf"], "delay"),
        ],
    )
    async def test_what_the_queue_refuses_is_said_in_one_line(
        self, valkey: Server, words: list[str], said: str
    ) -> None:
        finished = await penstock("enqueue", *words, redis_url=valkey.url)
        assert (finished.code, finished.stdout) == (2, "")
        assert said in finished.error

    async def test_a_payload_above_the_limit(self, valkey: Server) -> None:
        payload = json.dumps("x" * 2 * 1024 * 1024).encode()
        finished = await penstock("enqueue", "-", redis_url=valkey.url, stdin=payload)
        assert finished.code == 2
        assert "1 MiB" in finished.error or "1,048,576" in finished.error


class TestStatus:
    async def test_a_job_as_text_and_as_json(self, valkey: Server) -> None:
        await penstock("enqueue", "--queue", "mail", "--id", "m-1", redis_url=valkey.url)
        shown = await penstock("status", "m-1", redis_url=valkey.url)
        assert shown.code == 0
        assert {"m-1", "mail", "pending"} <= set(shown.stdout.split())
        as_json = await penstock("status", "m-1", "--queue", "mail", "--json", redis_url=valkey.url)
        job = json.loads(as_json.stdout)
        assert (job["id"], job["status"], job["attempts"]) == ("m-1", "pending", 0)

    async def test_a_job_that_is_not_kept(self, valkey: Server) -> None:
        finished = await penstock("status", "nobody", redis_url=valkey.url)
        assert (finished.code, finished.stdout) == (4, "")
        assert "'nobody'" in finished.error

    async def test_a_queue_without_a_job_id(self, valkey: Server) -> None:
        await penstock("enqueue", "--queue", "mail", redis_url=valkey.url)
        shown = await penstock("status", "--queue", "mail", redis_url=valkey.url)
        assert shown.code == 0
        assert "pending" in shown.stdout
        assert "No worker" in shown.stdout
        finished = await penstock("status", "-q", "mail", "--json", redis_url=valkey.url)
        answer = json.loads(finished.stdout)
        assert answer["counts"]["pending"] == 1
        assert answer["workers"] == []


class TestServers:
    @pytest.mark.parametrize(
        "words", [["enqueue"], ["status"], ["status", "a"], ["worker", "--handlers", "json:dumps"]]
    )
    async def test_an_unreachable_server(self, words: list[str]) -> None:
        port = free_port()
        finished = await penstock(*words, redis_url=f"redis://:secret@127.0.0.1:{port}")
        assert finished.code == 3
        assert str(port) in finished.error
        assert "secret" not in finished.stderr

    async def test_an_evicting_server_is_refused(self, fresh_valkey: Server) -> None:
        fresh_valkey.config_set("maxmemory-policy", "allkeys-lru")
        finished = await penstock("enqueue", redis_url=fresh_valkey.url)
        assert finished.code == 3
        assert "noeviction" in finished.error

    async def test_a_wrong_setting(self, valkey: Server) -> None:
        extra = {"PENSTOCK_MAX_JOB_TTL_DAYS": "99"}
        finished = await penstock("status", redis_url=valkey.url, extra_environment=extra)
        assert finished.code == 2
        assert "max_job_ttl_days" in finished.error.lower()


class TestWorker:
    async def test_runs_jobs_until_told_to_stop(
        self, valkey: Server, processes: ProcessStarter, tmp_path: Path, make_queue: MakeQueue
    ) -> None:
        written(tmp_path, {"shop/__init__.py": "", "shop/jobs.py": HANDLERS})
        worker = await processes.worker(
            "shop.jobs:HANDLERS",
            queue="shop",
            worker_id="shop-1",
            concurrency=3,
            environment={"PYTHONPATH": str(tmp_path) + ":" + str(Path(package.__file__).parents[1])},
        )
        await worker.line("running")
        shown = await penstock("status", "--queue", "shop", "--json", redis_url=valkey.url)
        (listed,) = json.loads(shown.stdout)["workers"]
        assert (listed["worker_id"], listed["pid"], listed["concurrency"]) == ("shop-1", worker.pid, 3)
        words = ["--queue", "shop", "--id", "j", "--type", "greet", "--payload", '{"name": "Ada"}']
        await penstock("enqueue", *words, redis_url=valkey.url)
        queue = await make_queue("shop")
        while (job := await queue.get_status("j")) is None or not job.status.is_final:
            assert worker.returncode is None, worker.output
            await asyncio.sleep(0.02)
        assert job.result == {"greeting": "hello Ada"}
        worker.terminate()
        assert await worker.exited() == 0
        assert TRACEBACK not in worker.output

    async def test_modules_of_the_current_directory_are_found(
        self, valkey: Server, tmp_path: Path, make_queue: MakeQueue
    ) -> None:
        written(tmp_path, {"here.py": HANDLERS})
        finished = await penstock("worker", "--handlers", "here:gret", redis_url=valkey.url, cwd=tmp_path)
        assert finished.code == 2
        assert "'here' has no 'gret'; did you mean 'greet'?" in finished.error

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ("shop.jobs", "package.module:name"),
            (":name", "package.module:name"),
            ("shop.jobs:", "package.module:name"),
            ("shop jobs:x", "package.module:name"),
            ("shop.jobbs:HANDLERS", "no module 'shop.jobbs'; did you mean 'shop.jobs'?"),
            ("shp.jobs:HANDLERS", "no module 'shp'; did you mean 'shop'?"),
            ("shop.jobs.deeper:HANDLERS", "no module 'shop.jobs.deeper'"),
            ("shop.jobs:HANDLER", "did you mean 'HANDLERS'?"),
            ("shop.jobs:NUMBER", "is int, expected"),
            ("shop.broken:HANDLERS", "ZeroDivisionError: division by zero (line 3 of"),
            ("shop.wrong:HANDLERS", "SyntaxError"),
            ("shop.needy:HANDLERS", "No module named 'nowhere_to_be_found'"),
        ],
    )
    async def test_handlers_that_cannot_be_had(
        self, valkey: Server, tmp_path: Path, spec: str, said: str
    ) -> None:
        broken = "import os\n\nVALUE = 1 / 0\n"
        files = {"shop/__init__.py": "", "shop/jobs.py": HANDLERS, "shop/broken.py": broken}
        files |= {"shop/wrong.py": "def (:\n", "shop/needy.py": "import nowhere_to_be_found\n"}
        written(tmp_path, files)
        finished = await penstock("worker", "--handlers", spec, redis_url=valkey.url, cwd=tmp_path)
        assert finished.code == 2
        assert said in finished.error

    async def test_a_wrong_log_level(self) -> None:
        finished = await penstock("worker", "--handlers", "json:dumps", "--log-level", "loud")
        assert finished.code == 2
        assert "'loud'" in finished.stderr
