import sys

from aiohttp import web


async def greet(request):
    return web.Response(text="Hello, World!")


app = web.Application()
app.router.add_get("/", greet)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda *_: None)
