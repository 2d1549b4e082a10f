// The lower part of a chat: quick commands, text, the + panel, photo and place.

import { T, voiceOf } from './texts.js';
import { button, h, icon, openSheet, toast } from './dom.js';
import { preparePhoto } from './photo.js';
import { VoiceSheet } from './voice.js';
import { tabStore } from './store.js';

const MAX_TEXT = 2000;
const MAX_PHOTOS = 9;
const SAME_COMMAND_MS = 1200;

export class Composer {
  // options: me, host (for sheets), maxPhotoMb, onSend(item)
  constructor(options) {
    Object.assign(this, options, { draftKey: `draft.${options.me.id}`, lastCommand: 0 });
    this.voice = voiceOf(this.me.role);
    this.el = h('div', { class: 'composer' }, this.commandRow(), this.inputRow(), this.panel());
    this.listenForFiles();
    this.restoreDraft();
  }

  // --- text --------------------------------------------------------------------------------------

  commandRow() {
    const chips = T.commands[this.voice].map(([label, text]) => button(label, () => this.command(text), { class: 'chip', testid: 'quick-command' }));
    return h('div', { class: 'commands', role: 'group', 'aria-label': T.quickCommands }, chips);
  }

  // Two taps on the same chip are one command.
  command(text) {
    const now = Date.now();
    if (this.lastText === text && now - this.lastCommand < SAME_COMMAND_MS) return;
    Object.assign(this, { lastText: text, lastCommand: now });
    this.onSend({ kind: 'text', text });
  }

  inputRow() {
    this.input = h('textarea', {
      class: 'input', rows: '1', maxlength: MAX_TEXT, enterkeyhint: 'send', autocomplete: 'off', placeholder: T.placeholder[this.voice], 'aria-label': T.input, testid: 'input',
    });
    this.input.addEventListener('input', () => this.changed());
    // a pasted text may have been cut short
    this.input.addEventListener('input', () => { if (this.input.value.length >= MAX_TEXT) toast(T.textFull(MAX_TEXT)); });
    this.input.addEventListener('keydown', (event) => this.key(event));
    this.sendButton = button(T.send, () => this.send(), { class: 'send', testid: 'send' });
    // keep the keyboard of a phone open after sending
    this.sendButton.addEventListener('pointerdown', (event) => event.preventDefault());
    this.moreButton = button(icon('plus'), () => this.toggle(), { class: 'more', 'aria-label': T.more, 'aria-expanded': 'false', testid: 'more' });
    return h('div', { class: 'input-row' }, this.input, this.moreButton, this.sendButton);
  }

  key(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.send();
  }

  send() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = '';
    this.changed();
    this.onSend({ kind: 'text', text });
  }

  changed() {
    const { input } = this;
    this.sendButton.classList.toggle('ready', Boolean(input.value.trim()));
    // a long placeholder would count as lines
    input.style.height = input.value ? 'auto' : '';
    if (input.value) input.style.height = `${Math.min(input.scrollHeight, 132)}px`;
    if (input.value) tabStore.set(this.draftKey, input.value);
    else tabStore.remove(this.draftKey);
  }

  restoreDraft() {
    this.input.value = tabStore.get(this.draftKey) || '';
    requestAnimationFrame(() => this.changed());
  }

  // --- + panel -----------------------------------------------------------------------------------

  panel() {
    const gallery = this.filePicker({ testid: 'photo-input', multiple: true, 'aria-label': T.photo });
    const camera = this.filePicker({ testid: 'camera-input', capture: 'environment', 'aria-label': T.camera });
    this.panelBox = h('div', { class: 'panel', hidden: true, testid: 'panel' },
      tile('photo', T.photo, () => gallery.click()),
      matchMedia('(pointer: coarse)').matches && tile('camera', T.camera, () => camera.click()),
      tile('mic', T.voice, () => this.speak(), 'voice-tile'),
      tile('pin', T.location, () => this.locate(), 'location-tile'));
    return h('div', null, this.panelBox, h('div', { hidden: true }, gallery, camera));
  }

  filePicker(props) {
    const input = h('input', { type: 'file', accept: 'image/*', ...props });
    input.addEventListener('change', () => {
      const files = Array.from(input.files);
      input.value = '';
      this.preview(files);
    });
    return input;
  }

  toggle(on = this.panelBox.hidden) {
    this.panelBox.hidden = !on;
    this.moreButton.setAttribute('aria-expanded', String(on));
  }

  // --- photos ------------------------------------------------------------------------------------

  listenForFiles() {
    this.input.addEventListener('paste', (event) => this.offered(event, event.clipboardData));
    this.host.addEventListener('dragover', (event) => event.preventDefault());
    this.host.addEventListener('drop', (event) => this.offered(event, event.dataTransfer));
  }

  offered(event, data) {
    const files = Array.from(data ? data.files : []).filter((file) => file.type.startsWith('image/'));
    if (files.length || event.type === 'drop') event.preventDefault();
    if (files.length) this.preview(files);
  }

  async preview(files) {
    if (files.length > MAX_PHOTOS) toast(T.photoTooMany(MAX_PHOTOS));
    const ready = (await Promise.all(files.slice(0, MAX_PHOTOS).map((file) => this.prepare(file)))).filter(Boolean);
    if (ready.length && this.host.isConnected) this.photoSheet(ready);
  }

  async prepare(file) {
    try {
      const ready = await preparePhoto(file);
      if (ready.photo.length * 0.75 <= this.maxPhotoMb * 1024 * 1024) return ready;
      toast(T.photoBig(this.maxPhotoMb));
    } catch {
      toast(T.photoUnreadable);
    }
    return null;
  }

  photoSheet(photos) {
    const caption = h('input', { class: 'field', type: 'text', maxlength: 200, placeholder: T.photoCaption, 'aria-label': T.photoCaption, testid: 'photo-caption' });
    const shown = h('div', { class: `shots shots-${Math.min(photos.length, 2)}` });
    const cancel = button(T.cancel, () => sheet.close(), { class: 'plain', testid: 'photo-cancel' });
    const send = button(T.send, () => { sheet.close(); this.sendPhotos(photos, caption.value.trim()); }, { class: 'primary', testid: 'photo-send' });
    const sheet = openSheet(this.host, { title: T.photoTitle(photos.length), testid: 'photo-preview', body: h('div', null, shown, caption), actions: [cancel, send] });
    photos.forEach((photo) => shown.append(this.shot(photo, photos, sheet)));
    caption.addEventListener('keydown', (event) => { if (event.key === 'Enter' && !event.isComposing) send.click(); });
    this.toggle(false);
  }

  shot(one, photos, sheet) {
    const remove = () => {
      photos.splice(photos.indexOf(one), 1);
      el.remove();
      sheet.heading.textContent = T.photoTitle(photos.length);
      if (!photos.length) sheet.close();
    };
    const several = photos.length > 1;
    const el = h('div', { class: 'shot' }, h('img', { src: one.photo, alt: T.photo }),
      several && button(icon('close'), remove, { class: 'shot-remove', 'aria-label': T.photoRemove }));
    return el;
  }

  sendPhotos(photos, text) {
    photos.forEach((one, index) => this.onSend({ kind: 'image', text: index === 0 ? text : '', ...one }));
  }

  // --- voice -------------------------------------------------------------------------------------

  speak() {
    this.toggle(false);
    new VoiceSheet({ host: this.host, maxMb: this.maxPhotoMb, onSend: (note) => this.onSend({ kind: 'voice', text: '', ...note }) });
  }

  // --- place -------------------------------------------------------------------------------------

  locate() {
    let position = null;
    const state = h('p', { class: 'locate-state', role: 'status', text: T.locationAsk });
    const use = button([icon('pin'), h('span', { text: T.locationUse })], () => ask(), { class: 'plain wide use-place', testid: 'location-use', hidden: !navigator.geolocation });
    const label = h('input', { class: 'field', type: 'text', maxlength: 100, placeholder: T.locationExample, 'aria-label': T.locationLabel, testid: 'location-label' });
    const cancel = button(T.cancel, () => sheet.close(), { class: 'plain' });
    const send = button(T.send, () => finish(), { class: 'primary', testid: 'location-send', disabled: true });
    const sheet = openSheet(this.host, { title: T.locationTitle, testid: 'location-sheet', body: h('div', null, state, use, label), actions: [cancel, send] });
    const ready = () => { send.disabled = !position && !label.value.trim(); };
    const finish = () => { sheet.close(); this.sendPlace(position, label.value.trim()); };
    label.addEventListener('input', ready);
    label.addEventListener('keydown', (event) => { if (event.key === 'Enter' && !event.isComposing && !send.disabled) finish(); });
    // The browser is asked only after the person has agreed here.
    const ask = () => {
      state.textContent = T.locationWait;
      label.focus({ preventScroll: true });
      use.hidden = true;
      findPosition().then((found) => { position = found; state.textContent = T.locationFound; ready(); }, () => { state.textContent = T.locationFailed; });
    };
    this.toggle(false);
  }

  // Without coordinates the words alone are a good message.
  sendPlace(position, label) {
    if (!position) this.onSend({ kind: 'text', text: label });
    else this.onSend({ kind: 'location', text: label, location: { ...position, label } });
  }
}

function tile(name, label, onClick, testid) {
  return button([h('span', { class: 'tile-icon' }, icon(name)), label], onClick, { class: 'tile', testid });
}

function findPosition() {
  return new Promise((resolve, reject) => {
    if (!navigator.geolocation) return reject(new Error('no geolocation'));
    return navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ latitude: coords.latitude, longitude: coords.longitude }),
      reject, { enableHighAccuracy: true, timeout: 8000, maximumAge: 60_000 });
  });
}
