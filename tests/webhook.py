"""A webhook that alerts are posted to."""

import asyncio
import json
from typing import Any


class Hook:
    """A webhook: takes what is posted; `answers` are the statuses it gives, the last one for ever."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.taken: list[dict[str, Any]] = []
        self.tries = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = json.loads(await reader.readexactly(length))
        self.tries += 1
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == 200:
            self.taken.append(body)
        if status:
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        else:
            await reader.read()  # never answers
        writer.close()
        await writer.wait_closed()
