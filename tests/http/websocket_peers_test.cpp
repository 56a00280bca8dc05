// Against the WebSockets of others, at both ends, in the clear and over TLS: Python's websockets,
// aiohttp, and ws of node.

#include "../ssl_support.hpp"
#include "peer.hpp"
#include "served.hpp"

#include <aio/http.hpp>
#include <aio/websocket.hpp>

#include <cstdlib>
#include <string>
#include <vector>

using aio::task;
using aio::http::ClientSession;
using aio::http::Message;
using aio::http::MsgType;
using aio::http::SessionOptions;
using aio::http::WebSocket;
using aio::http::WebSocketOptions;
using green::awaitlet;
using test::Served;

namespace web = aio::web;

namespace {

// A server of theirs is given its certificate and key if it is to speak TLS.
constexpr const char* websockets_server = R"(
import asyncio, ssl, sys, websockets

async def serve(socket):
    try:
        await converse(socket)
    except websockets.ConnectionClosedError:
        pass

async def converse(socket):
    async for message in socket:
        if message == "close":
            await socket.close(4004, "as you like")
        elif message == "ping":
            await (await socket.ping(b"from python"))
            await socket.send("pong")
        elif message == "fragments":
            await socket.send(["in ", "five ", "frag", "ments", ""])
        elif message == "vanish":
            socket.transport.abort()
        else:
            await socket.send(message)

async def main():
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if sys.argv[1:] else None
    if secure:
        secure.load_cert_chain(*sys.argv[1:])
    async with websockets.serve(serve, "127.0.0.1", 0, subprotocols=["chat"], max_size=None,
                                ssl=secure) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
)";

constexpr const char* aiohttp_server = R"(
import asyncio, ssl, sys
from aiohttp import web, WSMsgType

async def serve(request):
    socket = web.WebSocketResponse(protocols=["chat"], max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "close":
            await socket.close(code=4004, message=b"as you like")
        elif message.data == "ping":
            await socket.ping(b"from aiohttp")
            await socket.send_str("pong")
        elif message.data == "fragments":
            await socket.send_str("in five fragments")
        elif message.data == "vanish":
            request.transport.abort()
        elif message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    return socket

async def main():
    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if sys.argv[1:] else None
    if secure:
        secure.load_cert_chain(*sys.argv[1:])
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secure)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
)";

constexpr const char* node_server = R"(
const { WebSocketServer } = require('ws');
const [cert, key] = process.argv.slice(1).map(file => require('fs').readFileSync(file));
const site = cert ? require('https').createServer({ cert, key }) : require('http').createServer();
const server = new WebSocketServer({
  server: site, perMessageDeflate: { threshold: 0 },
  handleProtocols: offered => offered.has('chat') ? 'chat' : false,
});
site.listen(0, '127.0.0.1', () => console.log(site.address().port));
server.on('connection', socket => {
  socket.on('message', (data, binary) => {
    const text = binary ? '' : data.toString();
    if (text === 'close') socket.close(4004, 'as you like');
    else if (text === 'ping') {
      socket.once('pong', () => socket.send('pong'));
      socket.ping('node');
    }
    else if (text === 'fragments') {
      for (const piece of ['in ', 'five ', 'frag', 'ments'])
        socket.send(piece, { fin: piece === 'ments' });
    }
    else if (text === 'vanish') socket.terminate();
    else socket.send(data, { binary });
  });
});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
)";

// What a client of theirs does with our server, which says "done" when that went as it should. It
// is given the URL and whom to trust.
constexpr const char* websockets_client = R"(
import asyncio, ssl, sys, websockets

url, authority = sys.argv[1:]
trusting = {"ssl": ssl.create_default_context(cafile=authority)} if url.startswith("wss") else {}

async def converse(**options):
    async with websockets.connect(url, subprotocols=["soap", "chat"], max_size=None,
                                  **trusting, **options) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        for size in (0, 1, 125, 126, 65535, 65536, 2000000):
            await socket.send("é" * size)
            assert await socket.recv() == "é" * size, size
            await socket.send(b"\xff" * size)
            assert await socket.recv() == b"\xff" * size, size
        await socket.send(["frag", "ments", "", " of text"])
        assert await socket.recv() == "fragments of text"
        await (await socket.ping(b"x" * 125))
        await socket.send("close")
        try:
            await socket.recv()
            assert False, "closed?"
        except websockets.ConnectionClosedError as closed:
            assert closed.rcvd.code == 4004 and closed.rcvd.reason == "as you like", closed

async def refused(url, **options):
    try:
        async with websockets.connect(url, **options):
            assert False, "accepted?"
    except (websockets.InvalidStatusCode, ssl.SSLCertVerificationError) as error:
        return error

async def main():
    await converse()
    await converse(compression=None)
    await asyncio.gather(*[converse() for _ in range(5)])
    assert (await refused(url.replace("/ws", "/missing"), **trusting)).status_code == 404
    if trusting:
        assert isinstance(await refused(url), ssl.SSLCertVerificationError)
    async with websockets.connect(url, **trusting) as socket:
        await socket.close(3333, "bye")
        assert socket.close_code == 3333, socket.close_code
    print("done")

asyncio.run(main())
)";

constexpr const char* node_client = R"(
const WebSocket = require('ws');
const assert = require('assert');
const [url, authority] = process.argv.slice(1);
const trusting = { ca: require('fs').readFileSync(authority) };
function converse(options, trust = trusting) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['soap', 'chat'], { ...options, ...trust });
    const sizes = [0, 1, 125, 126, 65535, 65536, 2000000];
    let pongs = 0, turn = 0;
    const next = () => {
      if (turn < 2 * sizes.length) {
        const size = sizes[turn >> 1];
        socket.send(turn % 2 ? Buffer.alloc(size, 255) : 'é'.repeat(size));
      } else socket.send('close');
    };
    socket.on('open', () => { assert.equal(socket.protocol, 'chat'); socket.ping('x'); next(); });
    socket.on('pong', data => { assert.equal(data.toString(), 'x'); ++pongs; });
    socket.on('message', (data, binary) => {
      const size = sizes[turn >> 1];
      assert.equal(binary, turn % 2 === 1);
      if (binary) assert.ok(data.equals(Buffer.alloc(size, 255)));
      else assert.equal(data.toString(), 'é'.repeat(size));
      ++turn; next();
    });
    socket.on('close', (code, reason) => {
      assert.equal(code, 4004); assert.equal(reason.toString(), 'as you like');
      assert.equal(pongs, 1); assert.equal(turn, 14); resolve();
    });
    socket.on('error', error => { socket.removeAllListeners('close'); reject(error); });
  });
}
(async () => {
  await converse({ perMessageDeflate: { threshold: 0 } });
  await converse({ perMessageDeflate: { threshold: 0, serverNoContextTakeover: true,
                                        clientNoContextTakeover: true, serverMaxWindowBits: 10,
                                        clientMaxWindowBits: 10 } });
  await converse({ perMessageDeflate: false });
  if (url.startsWith('wss')) {
    await converse({}, { rejectUnauthorized: false });
    await assert.rejects(converse({}, {}), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  }
  console.log('done');
})().catch(error => { console.error(error); process.exit(1); });
)";

using Command = std::vector<std::string>;

Command operator+(Command command, const Command& arguments) {
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Command python(const std::string& script) { return {"/usr/bin/python3", "-c", script}; }
// Debian's node finds Debian's packages there by itself.
Command node(const std::string& script) {
  return {"env", "NODE_PATH=/usr/share/nodejs", "node", "-e", script, "--"};
}

bool has_websockets() { return test::peer_works("/usr/bin/python3 -c 'import websockets'"); }
bool has_aiohttp() { return test::peer_works("/usr/bin/python3 -c 'import aiohttp'"); }
bool has_node() {
  return test::peer_works("NODE_PATH=/usr/share/nodejs node -e \"require('ws')\"");
}

class Peer : public test::PeerServer {
 public:
  Peer(const Command& command, bool secure)
      : PeerServer(command + (secure ? certificate_and_key() : Command())),
        scheme_(secure ? "wss" : "ws") {}
  std::string url() const { return scheme_ + "://" + host() + "/"; }

 private:
  static Command certificate_and_key() {
    return {test::certificates().certificate("server"), test::certificates().key("server")};
  }

  std::string scheme_;
};

std::string authority() { return test::certificates().certificate("ca"); }

std::string brief(const Message& message) {
  return (message.last() ? std::to_string(message.code) + " " : "") + message.data;
}

// All that our client does with a server of theirs.
void converse(const std::string& url, bool compress, int code_at_close) {
  CAPTURE(compress);
  SessionOptions trusting;
  trusting.ssl.ca_certs = authority();
  ClientSession session(trusting);
  WebSocketOptions options;
  options.protocols = {"soap", "chat"};
  options.compress = compress;
  const auto connect = [&] { return awaitlet(session.ws_connect(url, options)); };
  WebSocket socket = connect();
  CHECK(socket.protocol() == "chat");
  CHECK(socket.compressed() == compress);
  for (const std::size_t size : {0, 1, 125, 126, 65'535, 65'536, 2'000'000}) {
    CAPTURE(size);
    awaitlet(socket.send_str(std::string(size, 'x')));
    CHECK(awaitlet(socket.receive_str()) == std::string(size, 'x'));
    awaitlet(socket.send_bytes(std::string(size, '\xff')));
    CHECK(awaitlet(socket.receive_bytes()) == std::string(size, '\xff'));
  }
  awaitlet(socket.ping("hello"));
  awaitlet(socket.send_str("ping"));
  CHECK(awaitlet(socket.receive_str()) == "pong");
  awaitlet(socket.send_str("fragments"));
  CHECK(awaitlet(socket.receive_str()) == "in five fragments");
  awaitlet(socket.send_str("close"));
  CHECK(brief(awaitlet(socket.receive())) == "4004 as you like");
  CHECK(socket.close_code() == 4004);
  WebSocket other = connect();
  CHECK(awaitlet(other.close(3333, "bye")));
  CHECK(other.close_code() == code_at_close);
  WebSocket cut = connect();
  awaitlet(cut.send_str("vanish"));
  CHECK(awaitlet(cut.receive()).last());
  CHECK(cut.close_code() == 1006);
}

void converse_with(const Command& server, int code_at_close = 3333) {
  for (const bool secure : {false, true}) {
    CAPTURE(secure);
    const Peer peer(server, secure);
    converse(peer.url(), true, code_at_close);
    converse(peer.url(), false, code_at_close);
  }
}

// What their client finds.
web::Application echo() {
  web::Application app;
  app.router().add_get("/ws", [](web::Request& request) -> task<web::WebSocketResponse> {
    WebSocketOptions options;
    options.protocols = {"chat"};
    web::WebSocketResponse socket(options);
    co_await socket.prepare(request);
    for (;;) {
      const std::optional<Message> message = co_await socket.next();
      if (!message) break;
      if (message->data == "close")
        co_await socket.close(4004, "as you like");
      else if (message->type == MsgType::text)
        co_await socket.send_str(message->data);
      else
        co_await socket.send_bytes(message->data);
    }
    co_return socket;
  });
  return app;
}

void check_client(const Command& client) {
  for (const bool secure : {false, true}) {
    CAPTURE(secure);
    web::ServerOptions options;
    if (secure) options.ssl = test::server_options();
    const Served served(echo(), options);
    const std::string url = (secure ? "wss://" : "ws://") + served.address().str() + "/ws";
    CHECK(awaitlet(test::start(client + Command{url, authority()}).communicate()).first ==
          "done\n");
  }
}

}  // namespace

TEST_CASE("our client and the server of Python's websockets understand each other") {
  if (has_websockets()) converse_with(python(websockets_server));
}

TEST_CASE("our client and aiohttp's server understand each other") {
  if (has_aiohttp()) converse_with(python(aiohttp_server), 1000);  // it answers with its own code
}

TEST_CASE("our client and the server of node's ws understand each other") {
  if (has_node()) converse_with(node(node_server));
}

TEST_CASE("the client of Python's websockets and our server understand each other") {
  if (has_websockets()) check_client(python(websockets_client));
}

TEST_CASE("the client of node's ws and our server understand each other") {
  if (has_node()) check_client(node(node_client));
}
