// The foreign server library co-wechat, behind plain node http: it answers every text with itself.
// Its address is printed; it ends with its standard input.
'use strict';
const http = require('http');
const wechat = require('co-wechat');

const job = JSON.parse(process.argv[2]);
const handle = wechat({ token: job.token, appid: job.appId, encodingAESKey: job.key }).middleware(
  async (message) => `${message.MsgType}:${message.Content || message.Event || message.MediaId || message.Label || ''}`
);

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://here');
  const request = { length: Number(req.headers['content-length'] || 0), charset: 'utf-8' };
  const ctx = { query: Object.fromEntries(url.searchParams), method: req.method, req, request, status: 200, body: '' };
  try {
    await handle(ctx);
  } catch (error) {
    ctx.status = 500;
    ctx.body = String(error);
  }
  res.writeHead(ctx.status).end(ctx.body);
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.on('end', () => process.exit(0)).resume();
