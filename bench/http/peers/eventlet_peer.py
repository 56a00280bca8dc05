import sys

import eventlet
from eventlet import wsgi


def greet(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Hello, World!"]


listener = eventlet.listen(("127.0.0.1", int(sys.argv[1])), backlog=1024)
wsgi.server(listener, greet, log_output=False)
