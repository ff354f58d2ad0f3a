#!/usr/bin/env python3
"""A plugin behind the nanomsg endpoint that gives receipts and looks at nothing: for measuring the sender.

counter.py --listen 127.0.0.1:7900
"""
import asyncio
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../Examples/plugin-python")]
import plugin  # noqa: E402


class Counter(plugin.Plugin):
    async def take(self, message):
        if message[0] == plugin.EVENTS:
            await self.acknowledge(message[3], message[4])


plugin.Plugin = Counter
asyncio.run(plugin.main())
