// Who is speaking: a token, kept so that a reload does not ask again.
// A demo person belongs to the tab; a resident who came by link or code is remembered on the device.

import { postSession } from './api.js';
import { deviceStore, tabStore } from './store.js';

const REAL = 'session';

export class Session {
  constructor({ token, me }, { store, key, credentials }) {
    Object.assign(this, { token, me, store, key, credentials });
    this.renewing = null;
    store.set(key, { token, me });
  }

  // A new token after the server refused the old one; false when a person has to log in again.
  renew() {
    this.renewing = this.renewing || this.askAgain().finally(() => { this.renewing = null; });
    return this.renewing;
  }

  async askAgain() {
    if (!this.credentials) return false;
    try {
      const { token, me } = await postSession(this.credentials);
      Object.assign(this, { token, me });
      this.store.set(this.key, { token, me });
      return true;
    } catch (error) {
      if (error.temporary) throw error;
      return false;
    }
  }

  forget() {
    this.store.remove(this.key);
  }
}

export async function demoSession(person) {
  const how = { store: tabStore, key: `session.${person}`, credentials: { person } };
  const kept = tabStore.get(how.key);
  return new Session(kept || await postSession(how.credentials), how);
}

export async function realSession(credentials) {
  return new Session(await postSession(credentials), { store: deviceStore, key: REAL });
}

export function rememberedSession() {
  const kept = deviceStore.get(REAL);
  return kept && kept.token && kept.me ? new Session(kept, { store: deviceStore, key: REAL }) : null;
}
