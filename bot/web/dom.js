// Small DOM helpers. Data only ever becomes text nodes or checked attributes: there is no innerHTML here.

import { T } from './texts.js';

const SVG = 'http://www.w3.org/2000/svg';

export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) setProp(el, key, value);
  el.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return el;
}

function setProp(el, key, value) {
  if (value === undefined || value === null || value === false) return;
  if (key === 'class') el.className = value;
  else if (key === 'text') el.textContent = value;
  else if (key === 'testid') el.dataset.testid = value;
  else if (key === 'on') for (const [type, fn] of Object.entries(value)) el.addEventListener(type, fn);
  else el.setAttribute(key, value === true ? '' : String(value));
}

export function button(label, onClick, props) {
  return h('button', { type: 'button', ...props, on: { click: onClick } }, label);
}

const ICONS = {
  house: ['M4.5 11.5 12 5l7.5 6.5', 'M7 10.5V19h10v-8.5', 'M10 14.6c1.2 1.3 2.8 1.3 4 0'],
  back: ['M14.5 5 8 12l6.5 7'],
  plus: ['M12 8v8M8 12h8', 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z'],
  photo: ['M4 6h16v12H4Z', 'm4 16 5-5 4 4 3-3 4 4', 'M15.5 9.6h.01'],
  camera: ['M4 8h3.5L9 5.5h6L16.5 8H20v10.5H4Z', 'M12 10a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4Z'],
  pin: ['M12 21c4.5-5 6.5-8.2 6.5-11a6.5 6.5 0 1 0-13 0c0 2.8 2 6 6.5 11Z', 'M12 7.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6Z'],
  close: ['m6 6 12 12M18 6 6 18'],
  phones: ['M3 6h5v12H3Z', 'M9.5 4h5v16h-5Z', 'M16 6h5v12h-5Z'],
  next: ['M9.5 5 16 12l-6.5 7'],
  mic: ['M12 3.5a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0v-5a3 3 0 0 0-3-3Z', 'M5.5 11.5a6.5 6.5 0 0 0 13 0', 'M12 18v2.5'],
  sound: ['M5 10v4', 'M9 7.5v9', 'M13 5v14', 'M17 8.5v7', 'M20.5 10.5v3'],
  display: ['M4 7.5h9', 'M17 7.5h3', 'M15 5.3a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4Z', 'M4 16.5h3', 'M11 16.5h9', 'M9 14.3a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4Z'],
  door: ['M10 4H5v16h5', 'M10 12h9.5', 'm16 8.5 3.5 3.5-3.5 3.5'],
};

export function icon(name, className = 'icon') {
  const svg = document.createElementNS(SVG, 'svg');
  const attributes = { viewBox: '0 0 24 24', class: className, 'aria-hidden': 'true', focusable: 'false' };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  for (const d of ICONS[name]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

// Without a label it is only an ornament beside the name.
export function avatar(name, role, label) {
  const el = h('span', { class: `avatar avatar-${role}`, ...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' }) });
  el.append(role === 'bot' ? icon('house') : initial(name));
  return el;
}

function initial(name) {
  return Array.from(String(name || '').trim() || T.me)[0].toUpperCase();
}

export function setBadge(el, count, label) {
  el.textContent = count > 99 ? '99+' : String(count);
  el.hidden = count === 0;
  el.setAttribute('aria-label', label);
}

export function toast(message) {
  const el = h('p', { class: 'toast', testid: 'toast', text: message });
  const box = document.getElementById('toasts');
  while (box.children.length > 2) box.firstChild.remove();
  box.append(el);
  setTimeout(() => el.classList.add('leaving'), 3600);
  setTimeout(() => el.remove(), 4000);
}

// --- overlays ---------------------------------------------------------------------------------

// A sheet covers one phone only, so that three phones can stand side by side.
export function openSheet(host, { title, body, actions, testid, onClose }) {
  const back = document.activeElement;
  const heading = h('h2', { class: 'sheet-title', text: title });
  const panel = h('div', { class: 'sheet', role: 'dialog', 'aria-modal': 'true', 'aria-label': title, tabindex: '-1', testid },
    heading, body, h('div', { class: 'sheet-actions' }, actions));
  const veil = h('div', { class: 'veil' }, panel);
  const others = Array.from(host.children);
  const sheet = { heading, closed: false };
  const close = () => {
    if (sheet.closed) return;
    sheet.closed = true;
    veil.remove();
    others.forEach((el) => { el.inert = false; });
    if (back && back.isConnected) back.focus({ preventScroll: true });
    if (onClose) onClose();
  };
  veil.addEventListener('click', (event) => { if (event.target === veil) close(); });
  veil.addEventListener('keydown', (event) => { if (event.key === 'Escape') { event.stopPropagation(); close(); } });
  others.forEach((el) => { el.inert = true; });
  host.append(veil);
  panel.focus({ preventScroll: true });
  return Object.assign(sheet, { close });
}

// --- text with callable numbers, and hours that stay on one line ---------------------------------

const PHONE = /1[3-9]\d(?:[ -]?\d{4}){2}|400[ -]?\d{3}[ -]?\d{4}|0\d{2,3}-\d{3,4}-?\d{4}|0[12]\d{9}|\b(?:110|119|120|122|12345|12315|95598)\b/g;
const SHORT_NEEDS = /(?:打|拨|拨打|致电|电话|热线|呼叫)[:：\s]{0,2}$/;
const HOURS = /(\d{1,2}:\d\d[–-]\d{1,2}:\d\d)/;
const JOINED = /[\dA-Za-z*_-]/;

export function textWithPhones(text, callLabel) {
  const out = document.createDocumentFragment();
  let from = 0;
  for (const match of text.matchAll(PHONE)) {
    const end = match.index + match[0].length;
    if (!isPhone(text, match.index, end)) continue;
    out.append(...plain(text.slice(from, match.index)), phoneLink(match[0], callLabel));
    from = end;
  }
  out.append(...plain(text.slice(from)));
  return out;
}

// "15:00–16:00" must not break after the dash.
function plain(text) {
  return text.split(HOURS).map((part, index) => (index % 2 ? h('span', { class: 'hours', text: part }) : part));
}

function isPhone(text, start, end) {
  if (JOINED.test(text.charAt(start - 1)) || JOINED.test(text.charAt(end))) return false;
  return end - start > 5 || SHORT_NEEDS.test(text.slice(0, start));
}

function phoneLink(shown, callLabel) {
  const number = shown.replace(/[ -]/g, '');
  return h('a', { class: 'tel', href: `tel:${number}`, 'aria-label': callLabel(shown), text: shown });
}
