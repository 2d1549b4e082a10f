// WeChat's or WeCom's side of pushes, with the foreign libraries wechat-crypto and @wecom/crypto.
// In: one JSON job on standard input. Out: what was answered to each request, sealed answers opened, as JSON.
'use strict';
const http = require('http');
const crypto = require('crypto');
const WXBizMsgCrypt = require('wechat-crypto');
const wecom = require('@wecom/crypto');

const sha1 = (...parts) => crypto.createHash('sha1').update(parts.sort().join('')).digest('hex');
const cdata = (text) => `<![CDATA[${text.replace(/]]>/g, ']]]]><![CDATA[>')}]]>`;

function library(job) {
  if (job.seal === 'wechat-crypto') {
    const crypt = new WXBizMsgCrypt(job.token, job.key, job.appId);
    return {
      encrypt: (text) => crypt.encrypt(text),
      sign: (stamp, nonce, sealed) => crypt.getSignature(stamp, nonce, sealed),
      decrypt: (sealed) => crypt.decrypt(sealed),
    };
  }
  return {
    encrypt: (text) => wecom.encrypt(job.key, text, job.appId),
    sign: (stamp, nonce, sealed) => wecom.getSignature(job.token, stamp, nonce, sealed),
    decrypt: (sealed) => wecom.decrypt(job.key, sealed),
  };
}

function request(job, push) {
  const fields = Object.entries(push.fields).map(([name, text]) => `<${name}>${cdata(String(text))}</${name}>`);
  const xml = `<xml>${fields.join('')}</xml>`;
  const stamp = String(push.timestamp || Math.floor(Date.now() / 1000));
  const nonce = crypto.randomBytes(6).toString('hex');
  const query = new URLSearchParams({ timestamp: stamp, nonce, signature: sha1(job.token, stamp, nonce) });
  let body = xml;
  if (job.seal !== 'plain' && !push.plain) {
    const sealed = library(job).encrypt(xml);
    query.set('encrypt_type', 'aes');
    query.set('msg_signature', library(job).sign(stamp, nonce, push.forge ? sealed + 'A' : sealed));
    body = `<xml><ToUserName><![CDATA[gh]]></ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`;
  } else if (push.forge) {
    query.set('signature', sha1('another token', stamp, nonce));
  }
  return { query: query.toString(), body };
}

function send(job, made, hangUp) {
  return new Promise((resolve) => {
    const req = http.request(`${job.url}?${made.query}`, { method: 'POST', headers: { 'Content-Type': 'text/xml' } }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode, body: Buffer.concat(chunks).toString() }));
    });
    req.on('error', () => resolve({ status: 0, body: '' }));
    req.end(made.body);
    if (hangUp) setTimeout(() => req.destroy(), hangUp);
  });
}

const element = (xml, name) => {
  const found = new RegExp(`<${name}>(?:<!\\[CDATA\\[)?([\\s\\S]*?)(?:\\]\\]>)?</${name}>`).exec(xml);
  return found ? found[1] : '';
};

function opened(job, answer) {
  if (!answer.body.startsWith('<xml>') || job.seal === 'plain') return { ...answer, message: answer.body };
  const sealed = element(answer.body, 'Encrypt');
  const signed = library(job).sign(element(answer.body, 'TimeStamp'), element(answer.body, 'Nonce'), sealed);
  const { message, id } = library(job).decrypt(sealed);
  return { ...answer, message, id, genuine: signed === element(answer.body, 'MsgSignature') };
}

(async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const job = JSON.parse(Buffer.concat(chunks).toString());
  const results = [];
  for (const push of job.pushes) {
    const made = request(job, push);
    const answers = [];
    for (const hangUp of push.tries || [0]) {
      answers.push(opened(job, await send(job, made, hangUp)));
    }
    results.push(answers);
  }
  process.stdout.write(JSON.stringify(results));
})();
