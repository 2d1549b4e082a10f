// The foreign client grammy against a Bot API server: what each call gave, or its error, as JSON.
'use strict';
const { Api, InlineKeyboard } = require('grammy');

const job = JSON.parse(process.argv[2]);
const api = new Api(job.token, { apiRoot: job.url });
const attempt = async (work) => {
  try {
    return await work();
  } catch (error) {
    return { failed: error.error_code || String(error), description: error.description };
  }
};

(async () => {
  const keyboard = new InlineKeyboard().text('接单', 'accept:7').text('拒单', 'decline:7');
  const results = {
    me: await attempt(() => api.getMe()),
    sent: await attempt(() => api.sendMessage(42, '有新任务', { reply_markup: keyboard })),
    empty: await attempt(() => api.sendMessage(42, ' ')),
    long: await attempt(() => api.sendMessage(42, 'x'.repeat(4097))),
    button: await attempt(() => api.sendMessage(42, 'x', { reply_markup: new InlineKeyboard().text('x', 'c'.repeat(65)) })),
    updates: await attempt(() => api.getUpdates({ offset: 0, timeout: 0 })),
    menu: await attempt(() => api.setMyCommands([{ command: 'report', description: '报修' }])),
    badMenu: await attempt(() => api.setMyCommands([{ command: '报修', description: 'x' }])),
    webhook: await attempt(() => api.setWebhook('https://bot.example/x', { secret_token: 's' })),
    conflict: await attempt(() => api.getUpdates({ offset: 0, timeout: 0 })),
  };
  process.stdout.write(JSON.stringify(results));
})();
