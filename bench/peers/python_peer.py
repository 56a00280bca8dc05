"""Python's awaitlet: reads names of the functions below, writes nanoseconds a call.

"nan" is the answer where the package cannot be imported."""

import asyncio
import sys
import threading
import time


async def ready():
    return 1


async def suspends_once():
    await asyncio.sleep(0)
    return 1


def each_of(calls, call):
    start = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - start) / calls


def awaitlet_ready():
    return in_awaitlet(20_000, ready)


def awaitlet_suspending():
    return in_awaitlet(5_000, suspends_once)


def in_awaitlet(calls, work):
    import awaitlet

    def function():
        return each_of(calls, lambda: awaitlet.awaitlet(work()))

    return asyncio.run(awaitlet.async_def(function))


def thread_with_loop():
    def call():
        thread = threading.Thread(target=lambda: asyncio.run(ready()))
        thread.start()
        thread.join()

    return each_of(100, call)


for line in sys.stdin:
    try:
        print(globals()[line.strip()](), flush=True)
    except ImportError:
        print("nan", flush=True)
