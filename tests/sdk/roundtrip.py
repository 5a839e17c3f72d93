"""A client of the Python library `websockets`: handshake, messages, pings, close codes."""

import asyncio
import json
import os

import websockets
from websockets.asyncio.client import connect

URL = os.environ["WS_URL"]


async def main():
    async with connect(URL + "?room=a", additional_headers={"X-Own": "1"}) as socket:
        assert socket.subprotocol is None
        for text in ("hello", "ünïcode \N{GRINNING FACE}", "x" * 100_000):
            message = json.dumps({"action": "echo", "text": text})
            await socket.send(message)
            assert await asyncio.wait_for(socket.recv(), 10) == message
        await asyncio.wait_for(await socket.ping(), 10)
        # A message in fragments.
        await socket.send(['{"action":', '"echo",', '"n":1}'])
        assert json.loads(await asyncio.wait_for(socket.recv(), 10)) == {"action": "echo", "n": 1}
        await socket.close(4001, "bye")
        assert (socket.close_code, socket.close_reason) == (4001, "bye")

    try:
        async with connect(URL + "-not-a-stage"):
            raise AssertionError("an unknown stage was let in")
    except websockets.exceptions.InvalidStatus as refusal:
        assert refusal.response.status_code == 403, refusal.response


asyncio.run(main())
print("ok")
