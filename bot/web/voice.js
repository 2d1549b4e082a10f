// Voice notes: recording them where the browser can, choosing a sound file where it cannot, and playing what arrived.

import { T } from './texts.js';
import { button, h, icon, openSheet, toast } from './dom.js';
import { dataUrl } from './photo.js';

const LONGEST_S = 60;
// What both sides can read: Chrome and Firefox record the first two, Safari the last.
const KINDS = ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4'];

export function canRecord() {
  return Boolean(window.MediaRecorder && navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
}

// options: host, maxMb, onSend({voice, seconds})
export class VoiceSheet {
  constructor(options) {
    Object.assign(this, options, { recorder: null, voice: null, seconds: 0 });
    this.state = h('p', { class: 'locate-state', role: 'status', testid: 'voice-state', text: canRecord() ? T.voiceHint(LONGEST_S) : T.voiceNone });
    this.record = button([icon('mic'), h('span', { text: T.voiceStart })], () => this.toggle(), { class: 'record', testid: 'voice-record', hidden: !canRecord() });
    this.player = h('audio', { controls: true, class: 'voice-preview', 'aria-label': T.voice, hidden: true, testid: 'voice-preview' });
    this.file = h('input', { type: 'file', accept: 'audio/*', class: 'voice-file', 'aria-label': T.voiceFile, testid: 'voice-input', on: { change: () => this.chosen() } });
    this.choose = button(T.voiceFile, () => this.file.click(), { class: 'plain wide', testid: 'voice-choose' });
    const cancel = button(T.cancel, () => this.sheet.close(), { class: 'plain', testid: 'voice-cancel' });
    this.send = button(T.send, () => this.finish(), { class: 'primary', testid: 'voice-send', disabled: true });
    const body = h('div', { class: 'voice-body' }, this.state, this.record, this.player, this.choose, h('div', { hidden: true }, this.file));
    this.sheet = openSheet(this.host, { title: T.voiceTitle, testid: 'voice-sheet', body, actions: [cancel, this.send], onClose: () => this.stop(true) });
  }

  async toggle() {
    if (this.recorder) return this.stop(false);
    this.record.disabled = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (this.sheet.closed) stream.getTracks().forEach((track) => track.stop());
      else this.start(stream);
    } catch {
      this.say(T.voiceRefused);
      this.record.hidden = true;
      this.choose.focus();
    }
    this.record.disabled = false;
    return undefined;
  }

  start(stream) {
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: 24_000 });
    const pieces = [];
    Object.assign(this, { recorder, stream, thrown: false, begun: Date.now() });
    recorder.addEventListener('dataavailable', (event) => pieces.push(event.data));
    recorder.addEventListener('stop', () => { if (!this.thrown) this.take(new Blob(pieces, { type: recorder.mimeType }), Math.max(1, this.elapsed())); });
    recorder.start();
    this.ticker = setInterval(() => this.tick(), 500);
    this.mark(true);
    this.tick();
  }

  elapsed() {
    return Math.round((Date.now() - this.begun) / 1000);
  }

  tick() {
    const seconds = this.elapsed();
    if (seconds >= LONGEST_S) this.stop(false);
    // the eye sees every second; the ear is not told each of them
    else this.record.lastChild.textContent = `${T.voiceStop} ${T.voiceLength(seconds)}`;
  }

  stop(thrown) {
    if (!this.recorder) return;
    this.thrown = thrown;
    clearInterval(this.ticker);
    this.recorder.stop();
    this.stream.getTracks().forEach((track) => track.stop());
    this.recorder = null;
    this.mark(false);
  }

  mark(running) {
    this.record.classList.toggle('running', running);
    this.record.lastChild.textContent = running ? T.voiceStop : T.voiceStart;
    this.choose.hidden = running;
    this.send.disabled = running || !this.voice;
    if (running) this.say(T.voiceRunning);
  }

  chosen() {
    const file = this.file.files[0];
    this.file.value = '';
    if (!file) return;
    if (!file.type.startsWith('audio/')) toast(T.voiceUnreadable);
    else this.take(file, 0);
  }

  async take(blob, seconds) {
    if (blob.size > this.maxMb * 1024 * 1024) { toast(T.voiceBig(this.maxMb)); return; }
    // without the codec, which nobody needs to know any more
    this.voice = await dataUrl(new Blob([blob], { type: blob.type.split(';')[0] }));
    this.seconds = seconds;
    this.player.src = URL.createObjectURL(blob);
    this.player.hidden = false;
    this.send.disabled = false;
    this.say(T.voiceReady);
    if (!this.sheet.closed) this.send.focus();
  }

  say(words) {
    this.state.textContent = words;
  }

  finish() {
    const { voice, seconds } = this;
    this.sheet.close();
    this.onSend({ voice, seconds });
  }
}

let playing = null;

// One bubble that plays: only one at a time, as on a phone.
export function voiceBubble(url, seconds) {
  const sound = h('audio', { src: url, preload: 'none' });
  const label = h('span', { text: seconds ? T.voiceLength(seconds) : T.voice });
  const el = button([icon('sound'), label], () => press(sound), { class: 'bubble voice', 'aria-label': T.voicePlay(seconds), testid: 'voice' });
  const mark = (on) => {
    el.classList.toggle('playing', on);
    el.dataset.playing = on;
    el.setAttribute('aria-label', on ? T.voicePause(seconds) : T.voicePlay(seconds));
  };
  el.style.setProperty('--seconds', Math.min(seconds || 8, LONGEST_S));
  sound.addEventListener('playing', () => mark(true));
  ['pause', 'ended'].forEach((type) => sound.addEventListener(type, () => mark(false)));
  sound.addEventListener('error', () => { mark(false); toast(T.voiceBroken); });
  return el;
}

function press(sound) {
  if (playing && playing !== sound) playing.pause();
  playing = sound;
  if (sound.paused) sound.play().catch(() => { /* the error event has said it */ });
  else { sound.pause(); sound.currentTime = 0; }
}
