// The list of bubbles of one chat: order, time dividers, quick replies, scrolling.

import { DESK_LANG, T, voiceOf } from './texts.js';
import { avatar, button, h, icon, textWithPhones } from './dom.js';
import { openViewer } from './viewer.js';
import { voiceBubble } from './voice.js';
import { clock, dayOf, learnOffset, timeLabel } from './time.js';

const GAP_MS = 5 * 60_000;
const NEAR_BOTTOM_PX = 60;

export class MessageLog {
  // handlers: fileUrl(path), onPress(button), onRetry(id), onDiscard(id)
  constructor(me, handlers) {
    Object.assign(this, { me, handlers, items: [], bySeq: new Map(), mine: new Map(), below: 0, stuck: true, lastTop: 0 });
    this.today = dayOf(Date.now());
    this.build();
  }

  build() {
    this.hint = h('p', { class: 'empty', text: T.empty[voiceOf(this.me.role)], hidden: true });
    this.dots = h('div', { class: 'row row-desk', testid: 'typing', 'aria-hidden': 'true', hidden: true },
      avatar('', 'bot', T.desk), h('div', { class: 'bubble dots' }, h('i'), h('i'), h('i')));
    this.list = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': T.log, tabindex: '0', testid: 'chat-log' }, this.hint, this.dots);
    this.pill = button('', () => this.toBottom(true), { class: 'pill', hidden: true, testid: 'new-messages' });
    this.el = h('div', { class: 'log-box' }, this.list, this.pill);
    this.list.addEventListener('scroll', () => this.scrolled(), { passive: true });
    this.resize = new ResizeObserver(() => this.keepBottom());
    this.resize.observe(this.list);
    this.clockTimer = setInterval(() => this.newDay(), 30_000);
  }

  destroy() {
    this.resize.disconnect();
    clearInterval(this.clockTimer);
  }

  // The history is in place: from now on a screen reader hears what arrives.
  ready() {
    this.list.setAttribute('aria-live', 'polite');
    this.hint.hidden = this.items.length > 0;
    this.toBottom();
  }

  reset() {
    this.items.filter((item) => item.seq).forEach((item) => this.take(item));
    this.bySeq.clear();
  }

  // --- messages ----------------------------------------------------------------------------------

  // A message from the server; false when it was already here.
  receive(message) {
    learnOffset(message.at);
    const ms = Date.parse(message.at) || Date.now();
    if (this.bySeq.has(message.seq)) {
      this.retime(this.bySeq.get(message.seq), ms);
      return false;
    }
    const own = message.from === 'me' && this.mine.get(message.id);
    if (own) this.confirm(own, message.seq, ms);
    else this.insert({ ...message, ms });
    return !own;
  }

  // Something I am sending; `pressed` when it is a quick reply.
  addOwn(item, pressed) {
    const ms = Date.parse(item.at);
    this.insert({ id: item.id, from: 'me', kind: item.kind, text: item.text, location: item.location, ms, state: item.state, local: item.photo, spoken: item.voice, seconds: item.seconds, width: item.width, height: item.height, pressed });
    this.toBottom();
  }

  accepted(id, seq) {
    const item = this.mine.get(id);
    if (item && seq) this.confirm(item, seq);
    else if (item) this.setState(id, null);
  }

  confirm(item, seq, ms = item.ms) {
    this.setState(item.id, null);
    item.ms = ms;
    item.seq = seq;
    item.el.dataset.seq = seq;
    item.el.title = clock(ms);
    this.bySeq.set(seq, item);
    this.place(item);
  }

  // A phone's clock may be wrong; the property's is what the desk's promises are made on.
  retime(item, ms) {
    if (item.ms === ms) return;
    item.ms = ms;
    item.el.title = clock(ms);
    const index = this.items.indexOf(item);
    [index, index + 1].forEach((position) => this.divide(position));
  }

  insert(item) {
    item.el = this.row(item);
    if (item.seq) this.bySeq.set(item.seq, item);
    if (item.from === 'me' && item.id) this.mine.set(item.id, item);
    this.items.push(item);
    this.place(item);
    this.settleByMessage(item);
    this.hint.hidden = true;
    this.keepBottom();
  }

  // By seq; what has none yet stands at the end. Moves nothing that already stands right.
  place(item) {
    const old = this.items.indexOf(item);
    this.items.splice(old, 1);
    let index = this.items.length;
    while (index > 0 && rank(this.items[index - 1]) > rank(item)) index -= 1;
    this.items.splice(index, 0, item);
    const next = this.items[index + 1];
    const before = next ? next.divider || next.el : this.dots;
    if (item.el.nextSibling !== before || !item.el.parentNode) this.list.insertBefore(item.el, before);
    [old, old + 1, index, index + 1].forEach((position) => this.divide(position));
  }

  divide(index) {
    const item = this.items[index];
    if (!item) return;
    const previous = this.items[index - 1];
    const wanted = !previous || item.ms - previous.ms > GAP_MS || dayOf(item.ms) !== dayOf(previous.ms);
    const text = wanted ? timeLabel(item.ms, Date.now()) : '';
    const old = item.divider;
    if (old ? old.textContent === text && old.nextSibling === item.el : !wanted) return;
    if (old) old.remove();
    item.divider = wanted ? h('div', { class: 'divider', text }) : null;
    if (wanted) this.list.insertBefore(item.divider, item.el);
  }

  newDay() {
    if (this.today === dayOf(Date.now())) return;
    this.today = dayOf(Date.now());
    this.items.forEach((item, index) => this.divide(index));
  }

  take(item) {
    this.items.splice(this.items.indexOf(item), 1);
    if (item.divider) item.divider.remove();
    item.el.remove();
    this.mine.delete(item.id);
    this.items.forEach((one, index) => this.divide(index));
  }

  discard(id) {
    const item = this.mine.get(id);
    if (item) this.take(item);
  }

  setState(id, state) {
    const item = this.mine.get(id);
    if (!item) return;
    item.state = state;
    this.showState(item);
  }

  showState(item) {
    const { state, el } = item;
    const failed = state === 'failed' || state === 'rejected';
    el.dataset.state = state || 'sent';
    el.querySelector('.spinner').hidden = state !== 'pending';
    const old = el.querySelector('.unsent');
    if (old) old.remove();
    if (failed) el.querySelector('.stack').append(this.unsent(item.id));
    this.keepBottom();
  }

  unsent(id) {
    return h('p', { class: 'unsent' }, h('b', { 'aria-hidden': 'true', text: '!' }), T.notSent,
      button(T.retry, () => this.handlers.onRetry(id), { class: 'link', testid: 'retry' }),
      button(T.discard, () => this.handlers.onDiscard(id), { class: 'link', testid: 'discard' }));
  }

  // --- bubbles -----------------------------------------------------------------------------------

  row(item) {
    const own = item.from === 'me';
    const face = own ? avatar(this.me.name, this.me.role, T.me) : avatar('', 'bot', T.desk);
    const spinner = own && h('span', { class: 'spinner', role: 'img', 'aria-label': T.sending, hidden: true });
    const stack = h('div', { class: 'stack' }, this.bubbles(item, spinner));
    const el = h('div', { class: `row row-${own ? 'me' : 'desk'}`, testid: 'msg', 'data-from': item.from, 'data-seq': item.seq, 'data-kind': item.kind, title: clock(item.ms) }, face, stack);
    if (own) { item.el = el; this.showState(item); }
    return el;
  }

  bubbles(item, spinner) {
    const parts = [];
    if (item.image || item.local) parts.push(this.picture(item));
    if (item.kind === 'location') parts.push(this.mapCard(item));
    else if (item.text) parts.push(h('div', { class: 'bubble', lang: item.from === 'me' ? null : DESK_LANG, testid: 'msg-text' }, textWithPhones(item.text, T.call)));
    if (item.voice || item.spoken) parts.push(voiceBubble(item.spoken || this.handlers.fileUrl(item.voice.url), item.voice ? item.voice.seconds : item.seconds));
    const line = parts.map((part, index) => h('div', { class: 'line' }, index === 0 && spinner, part));
    if (item.buttons && item.buttons.length) line.push(this.replies(item));
    return line;
  }

  picture(item) {
    const alt = T.photoOf(item.from === 'me' ? T.me : T.desk);
    const { width, height } = fit(item.image || item);
    const thumb = item.local || this.handlers.fileUrl(item.image.thumb || item.image.url);
    const full = item.local || this.handlers.fileUrl(item.image.url);
    const image = h('img', { src: thumb, alt, width, height, decoding: 'async', on: { load: () => this.keepBottom() } });
    const frame = button(image, () => this.view(item), { class: 'picture', testid: 'picture' });
    item.view = { url: full, alt };
    image.addEventListener('error', () => { item.view = null; frame.replaceWith(h('div', { class: 'bubble muted', text: T.photoBroken })); });
    return frame;
  }

  // All pictures of the conversation, from the one that was opened on.
  view(item) {
    const shown = this.items.filter((one) => one.view);
    openViewer(shown.map((one) => one.view), shown.indexOf(item));
  }

  mapCard(item) {
    const label = item.text || (item.location && item.location.label) || T.myLocation;
    const where = item.location && Number.isFinite(item.location.latitude)
      ? `${item.location.latitude.toFixed(5)}, ${item.location.longitude.toFixed(5)}` : '';
    return h('div', { class: 'bubble place', testid: 'location' },
      h('div', { class: 'place-map', 'aria-hidden': 'true' }, icon('pin')),
      h('div', { class: 'place-text' }, h('span', { text: label }), where && h('small', { text: where })));
  }

  // --- quick replies -----------------------------------------------------------------------------

  replies(item) {
    const list = item.buttons.map((one) => button(one.label, () => this.press(item, one), { class: 'reply', lang: DESK_LANG, testid: 'quick-reply', 'data-code': one.code }));
    const tight = list.length > 3 && item.buttons.every((one) => one.label.length <= 2);
    item.replies = h('div', { class: tight ? 'replies tight' : 'replies', role: 'group', 'aria-label': T.quickReplies }, list);
    return item.replies;
  }

  press(item, one) {
    if (item.settled) return;
    this.settle(item, one.label);
    this.handlers.onPress(one, item.seq);
  }

  settle(item, label) {
    item.settled = true;
    for (const [index, el] of Array.from(item.replies.children).entries()) {
      const chosen = item.buttons[index].label === label;
      el.setAttribute('aria-disabled', 'true');
      el.classList.toggle('chosen', chosen);
      if (chosen) el.setAttribute('aria-pressed', 'true');
    }
  }

  // The server refused the press: the buttons work again.
  unsettle(seq) {
    const item = this.bySeq.get(seq);
    if (!item || !item.replies) return;
    item.settled = false;
    for (const el of item.replies.children) {
      el.classList.remove('chosen');
      ['aria-disabled', 'aria-pressed'].forEach((name) => el.removeAttribute(name));
    }
  }

  // An answer typed or pressed earlier, or a newer message with the same choices, closes an older set.
  settleByMessage(item) {
    const index = this.items.indexOf(item);
    const open = this.items.slice(0, index).filter((one) => one.replies && !one.settled).reverse();
    if (item.from === 'me' && !item.pressed) {
      const chosen = (one) => one.buttons.find((choice) => saysThat(item.text, choice.label));
      const answered = open.find(chosen);
      if (answered) this.settle(answered, chosen(answered).label);
    } else if (item.replies) {
      const codes = new Set(item.buttons.map((choice) => choice.code));
      open.filter((one) => one.buttons.some((choice) => codes.has(choice.code))).forEach((one) => this.settle(one, null));
    }
  }

  // --- scrolling ---------------------------------------------------------------------------------

  typing(on) {
    this.dots.hidden = !on;
    this.keepBottom();
  }

  // A live message from the desk came in: count it if it is out of sight.
  arrived() {
    if (this.stuck) return;
    this.below += 1;
    this.pill.textContent = T.newMessages(this.below);
    this.pill.hidden = false;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    const atBottom = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    if (atBottom) this.seenAll();
    else if (scrollTop < this.lastTop - 2) this.stuck = false;
    this.lastTop = scrollTop;
  }

  seenAll() {
    this.stuck = true;
    this.below = 0;
    this.pill.hidden = true;
  }

  keepBottom() {
    if (this.stuck) this.list.scrollTop = this.list.scrollHeight;
  }

  toBottom(smooth) {
    this.seenAll();
    this.list.scrollTo({ top: this.list.scrollHeight, behavior: smooth ? 'smooth' : 'auto' });
  }
}

// Typed instead of tapped: the whole label, the number in front of it ("1 修好了"), or a score ("5分").
function saysThat(text, label) {
  const said = String(text || '').trim().replace(/[。.!！~～]+$/, '');
  if (said === label) return true;
  const number = /^(\d)(?:\s|分|$)/.exec(label);
  if (!number) return false;
  return label.endsWith('分') ? new RegExp(`^${number[1]}分?(?:[\\s,，、]+[1-5]分?)?$`).test(said) : said === number[1];
}

function rank(item) {
  return item.seq || Infinity;
}

// Size on the screen, known before the picture is loaded so that nothing jumps.
function fit({ width, height }) {
  if (!width || !height) return { width: 180, height: 180 };
  const scale = Math.min(1, 200 / width, 240 / height);
  return { width: Math.max(48, Math.round(width * scale)), height: Math.max(48, Math.round(height * scale)) };
}
