// What I said and the server has not yet accepted. Kept on the device, also when the page is closed; sent in order, one at
// a time, always under the same id: a repeated delivery is dropped by the server, so nothing is lost or doubled.

import { deviceStore } from './store.js';
import { blobOf } from './photo.js';

const RETRY_MS = [600, 1500, 3000];
// What was written so long ago is sent only when its writer still means it.
const STALE_MS = 12 * 3_600_000;

// randomUUID exists only on https pages; the demo is often opened as http://192.168…
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function stays(item) {
  return item.state === 'rejected' || Date.now() - Date.parse(item.at) > STALE_MS;
}

export class Outbox {
  // handlers: onState(item), onAccepted(item, seq), onRejected(item, error), onRefused() → go on?
  constructor(api, owner, handlers) {
    Object.assign(this, { api, handlers, key: `outbox.${owner}`, busy: false, stopped: false });
    this.items = (deviceStore.get(this.key) || []).map((item) => ({ ...item, state: stays(item) ? 'rejected' : 'pending', tries: 0 }));
    this.own = new Set(this.items.map((item) => item.id));
  }

  add(item) {
    const full = { id: newId(), at: new Date().toISOString(), state: 'pending', tries: 0, ...item };
    this.items.push(full);
    this.own.add(full.id);
    this.save();
    this.flush();
    return full;
  }

  // At every change, because a phone ends a page without a word. Several windows share the list: each changes its own part.
  save() {
    const others = (deviceStore.get(this.key) || []).filter((item) => !this.own.has(item.id));
    const all = [...others, ...this.items];
    if (!all.length) return deviceStore.remove(this.key);
    if (deviceStore.set(this.key, all)) return true;
    return deviceStore.set(this.key, all.filter((item) => !item.photo && !item.voice));
  }

  drop(id) {
    this.items = this.items.filter((item) => item.id !== id);
    this.save();
  }

  retry(id) {
    const item = this.items.find((one) => one.id === id);
    if (item) this.requeue([item]);
  }

  // The connection is back: everything that failed for lack of it goes out again.
  resume() {
    this.requeue(this.items.filter((item) => item.state === 'failed'));
    if (this.wake) this.wake();
  }

  requeue(items) {
    items.forEach((item) => this.mark(item, 'pending', 0));
    this.flush();
  }

  mark(item, state, tries = item.tries) {
    Object.assign(item, { state, tries });
    this.save();
    this.handlers.onState(item);
  }

  stop() {
    this.stopped = true;
    if (this.wake) this.wake();
  }

  async flush() {
    if (this.busy) return;
    this.busy = true;
    for (let item = this.next(); item && !this.stopped; item = this.next()) await this.deliver(item);
    this.busy = false;
  }

  next() {
    return this.items.find((item) => item.state === 'pending');
  }

  async deliver(item) {
    try {
      const { seq } = await this.post(item);
      this.drop(item.id);
      this.handlers.onAccepted(item, seq);
    } catch (error) {
      await this.failed(item, error);
    }
  }

  post(item) {
    if (item.kind === 'image') return this.api.photo(item.id, blobOf(item.photo), item.text);
    if (item.kind === 'voice') return this.api.voice(item.id, blobOf(item.voice), item.seconds);
    if (item.kind === 'location') return this.api.say({ id: item.id, location: item.location });
    if (item.button) return this.api.say({ id: item.id, button: item.button, label: item.text });
    return this.api.say({ id: item.id, text: item.text });
  }

  async failed(item, error) {
    if (!this.items.includes(item) || this.stopped) return; // the stream has brought it back meanwhile
    if (error.status === 401) await this.refused(item);
    else if (error.temporary) await this.later(item, error);
    else {
      this.mark(item, 'rejected');
      this.handlers.onRejected(item, error);
    }
  }

  async refused(item) {
    const goOn = await this.handlers.onRefused().catch(() => true);
    if (goOn) await this.later(item, { retryAfter: 0 });
    else this.stop();
  }

  async later(item, error) {
    if (item.tries >= RETRY_MS.length) {
      this.items.filter((one) => one.state === 'pending').forEach((one) => this.mark(one, 'failed'));
      return;
    }
    const wait = Math.max(RETRY_MS[item.tries], error.retryAfter * 1000);
    item.tries += 1;
    await this.pause(wait);
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}
