// The calls of docs/http-api.md, and nothing else.

import { T } from './texts.js';

// status 0: the server could not be reached (or did not answer in time).
export class ApiError extends Error {
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }

  get temporary() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export async function request(path, { timeout = 15_000, signal, ...how } = {}) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeout);
  if (signal) signal.addEventListener('abort', () => abort.abort());
  try {
    const response = await open(path, { ...how, signal: abort.signal });
    return await response.json();
  } catch (error) {
    throw worded(error);
  } finally {
    clearTimeout(timer);
  }
}

function worded(error) {
  return error instanceof ApiError ? error : new ApiError(0, 'network', T.networkError);
}

async function open(path, { method = 'GET', token, json, form, signal }) {
  const headers = { Accept: 'application/json, text/event-stream' };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json) headers['Content-Type'] = 'application/json';
  const body = json ? JSON.stringify(json) : form;
  const response = await fetch(path, { method, headers, body, signal, cache: 'no-store' });
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response) {
  const { error } = await response.json().catch(() => ({}));
  const { code = 'unknown', message = T.serverError } = error || {};
  return new ApiError(response.status, code, message, Number(response.headers.get('Retry-After')) || 0);
}

export const getConfig = () => request('/api/config');
export const getPeople = () => request('/api/demo/people').then((answer) => answer.people);
export const postSession = (credentials) => request('/api/session', { method: 'POST', json: credentials });

// One person's calls.
export class Api {
  constructor(session) {
    this.session = session;
  }

  messages(after, signal) {
    return request(`/api/messages?after=${after}&limit=100`, { token: this.session.token, signal });
  }

  say(body) {
    return request('/api/messages', { method: 'POST', token: this.session.token, json: body });
  }

  photo(id, blob, text) {
    const form = new FormData();
    form.append('id', id);
    if (text) form.append('text', text);
    form.append('photo', blob, 'photo');
    return request('/api/photos', { method: 'POST', token: this.session.token, form, timeout: 90_000 });
  }

  voice(id, blob, seconds) {
    const form = new FormData();
    form.append('id', id);
    form.append('seconds', String(seconds));
    form.append('voice', blob, 'voice');
    return request('/api/voices', { method: 'POST', token: this.session.token, form, timeout: 90_000 });
  }

  // Calls onEvent until the stream ends; rejects when it breaks or stays silent for `silence` ms.
  async events(after, { onOpen, onEvent, signal, silence = 45_000 }) {
    const abort = new AbortController();
    signal.addEventListener('abort', () => abort.abort());
    let watchdog = setTimeout(() => abort.abort(), 15_000);
    const alive = () => { clearTimeout(watchdog); watchdog = setTimeout(() => abort.abort(), silence); };
    try {
      const response = await open(`/api/events?after=${after}`, { token: this.session.token, signal: abort.signal });
      alive();
      onOpen();
      await readEvents(response.body.getReader(), onEvent, alive);
    } catch (error) {
      throw worded(error);
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  // <img> cannot send the header; addresses of other sites are refused.
  fileUrl(path) {
    const url = new URL(path, location.origin);
    if (url.origin !== location.origin) return '';
    url.searchParams.set('token', this.session.token);
    return url.pathname + url.search;
  }
}

async function readEvents(reader, onEvent, alive) {
  const decoder = new TextDecoder();
  const parser = new EventParser(onEvent);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    parser.push(decoder.decode(value, { stream: true }));
  }
}

// Server-Sent Events, fed with text cut anywhere.
export class EventParser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = '';
    this.clear();
  }

  clear() {
    this.event = 'message';
    this.id = '';
    this.data = [];
  }

  push(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    lines.forEach((line) => this.line(line));
  }

  line(line) {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.data.push(value);
    else if (field === 'event' || field === 'id') this[field] = value;
    return undefined;
  }

  dispatch() {
    const { event, id, data } = this;
    this.clear();
    if (data.length) this.onEvent({ event, id, data: data.join('\n') });
  }
}
