"""Every script compiles on every server, and comes back after the server forgot it."""

import pytest

from penstock.store.scripts import load, script_names
from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


@pytest.mark.parametrize("name", script_names())
async def test_the_server_takes_the_script(scene: Scene, name: str) -> None:
    assert len(await scene.client.script_load(load(name).source)) == 40


async def test_a_server_that_forgot_its_scripts_is_told_again(scene: Scene) -> None:
    await scene.add("a")
    await scene.client.script_flush()
    await scene.add(*[f"{number}" for number in range(200)])
    await scene.client.script_flush()
    claimed = (await scene.claim(1)).jobs[0]
    await scene.client.script_flush()
    assert await scene.settle(claimed) == "ok"
