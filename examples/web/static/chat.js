const find = id => document.getElementById(id);
const name = new URLSearchParams(location.search).get('name') || 'somebody';
const url = new URL('/chat?name=' + encodeURIComponent(name), location);
url.protocol = url.protocol.replace('http', 'ws');

const socket = new WebSocket(url);
socket.onopen = () => { find('state').textContent = 'connected'; };
socket.onclose = event => { find('state').textContent = 'closed ' + event.code; };
socket.onmessage = event => {
  const message = JSON.parse(event.data);
  const item = document.createElement('li');
  item.textContent = message.name + ': ' + message.text;
  find('messages').append(item);
};
find('form').onsubmit = event => {
  event.preventDefault();
  socket.send(find('text').value);
  find('text').value = '';
};
