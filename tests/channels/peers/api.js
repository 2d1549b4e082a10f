// The foreign client co-wechat-api against an API server: what each call gave, or its error code, as JSON.
'use strict';
const API = require('co-wechat-api');

const job = JSON.parse(process.argv[2]);
const api = new API(job.appId, job.secret);
api.prefix = api.fileServerPrefix = `${job.url}/cgi-bin/`;

const attempt = async (work) => {
  try {
    const value = await work();
    return Buffer.isBuffer(value) ? value.toString('base64') : value;
  } catch (error) {
    return { failed: error.code || String(error) };
  }
};

(async () => {
  const results = {
    text: await attempt(() => api.sendText('alice', '您好 ]]> 😀')),
    nobody: await attempt(() => api.sendText('gone', 'x')),
    closed: await attempt(() => api.sendText('closed', 'x')),
    used: await attempt(() => api.sendText('used', 'x')),
    long: await attempt(() => api.sendText('alice', '一'.repeat(700))),
    upload: await attempt(() => api.uploadMedia(Buffer.from('jpeg bytes'), 'image', 'a.jpg', 'image/jpeg')),
    menu: await attempt(() => api.createMenu({ button: [{ type: 'click', name: '报修', key: '/report' }] })),
    menuBack: await attempt(() => api.getMenu()),
    template: await attempt(() => api.sendTemplate('alice', 'T1', '', '', { thing1: { value: '厨房漏水' } })),
    noTemplate: await attempt(() => api.sendTemplate('alice', 'T9', '', '', { thing1: { value: 'x' } })),
    longField: await attempt(() => api.sendTemplate('alice', 'T1', '', '', { thing1: { value: '一'.repeat(21) } })),
    noMedia: await attempt(() => api.getMedia('gone')),
  };
  const token = await api.ensureAccessToken();
  results.renewed = await attempt(async () => {
    await api.saveToken({ ...token, accessToken: 'stale' });
    return api.sendText('alice', '换了令牌');
  });
  process.stdout.write(JSON.stringify(results));
})();
