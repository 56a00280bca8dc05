require('http').createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end('Hello, World!');
}).listen(Number(process.argv[2]), '127.0.0.1', 1024);
