// How this device wants the page: colours, type size, language. Remembered; a system setting is followed until somebody chooses.

import { LANGUAGES, T, speak } from './texts.js';
import { button, h, icon, openSheet } from './dom.js';
import { deviceStore } from './store.js';

const root = document.documentElement;
const dark = matchMedia('(prefers-color-scheme: dark)');

// What was chosen also holds where the browser keeps nothing (a frame of another site).
const kept = { big: deviceStore.get('big'), language: deviceStore.get('language'), theme: deviceStore.get('theme') };

const prefs = {
  get theme() { return T.themes[kept.theme] ? kept.theme : 'auto'; },
  get big() { return Boolean(kept.big); },
  get language() { return LANGUAGES[kept.language] ? kept.language : firstLanguage(); },
};

function firstLanguage() {
  const wanted = navigator.languages && navigator.languages.length ? navigator.languages : [navigator.language || 'zh'];
  return wanted.some((one) => one.toLowerCase().startsWith('zh')) ? 'zh' : 'en';
}

function choose(name, value) {
  kept[name] = value;
  deviceStore.set(name, value);
  apply();
}

export function apply() {
  const { theme } = prefs;
  root.classList.toggle('big', prefs.big);
  if (theme === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme;
  speak(prefs.language);
  root.lang = T.lang;
  const isDark = theme === 'dark' || (theme === 'auto' && dark.matches);
  document.querySelectorAll('meta[name="theme-color"]').forEach((meta) => { meta.content = isDark ? '#191919' : '#ededed'; });
  document.querySelectorAll('[data-testid="font-toggle"]').forEach((toggle) => toggle.setAttribute('aria-pressed', String(prefs.big)));
}

dark.addEventListener('change', apply);

// The two controls at the end of every header: large type in one tap, the rest behind a sheet.
export function displayControls(onLanguage) {
  const toggle = button(T.bigType, () => choose('big', !prefs.big), { class: 'font-toggle', 'aria-label': T.bigTypeHint, 'aria-pressed': String(prefs.big), testid: 'font-toggle' });
  const more = button(icon('display'), () => openSettings(onLanguage), { class: 'icon-button', 'aria-label': T.settings, testid: 'settings' });
  return h('div', { class: 'display-controls' }, toggle, more);
}

function openSettings(onLanguage) {
  const theme = choice(T.theme, 'theme', Object.entries(T.themes), prefs.theme, (value) => choose('theme', value));
  const size = choice(T.size, 'size', Object.entries(T.sizes), prefs.big ? 'big' : 'normal', (value) => choose('big', value === 'big'));
  const languages = Object.entries(LANGUAGES).map(([key, [name]]) => [key, name]);
  const language = choice(T.language, 'language', languages, prefs.language, (value) => { sheet.close(); choose('language', value); onLanguage(); });
  const done = button(T.done, () => sheet.close(), { class: 'primary', testid: 'settings-done' });
  const sheet = openSheet(document.body, { title: T.settings, testid: 'settings-sheet', body: h('div', { class: 'settings' }, size, theme, language), actions: [done] });
}

function choice(title, name, options, current, onChange) {
  const rows = options.map(([value, label]) => h('label', { class: 'option' },
    h('input', { type: 'radio', name, value, checked: value === current, testid: `${name}-${value}`, on: { change: () => onChange(value) } }), h('span', { text: label })));
  return h('fieldset', null, h('legend', { text: title }), h('div', { class: 'options' }, rows));
}
