// Pictures over the whole page, as people know it from WeChat: a tap or Esc closes, swipes and arrows turn, a double tap
// enlarges. The browser's own dialog keeps the focus inside and gives it back afterwards.

import { T } from './texts.js';
import { button, h, icon } from './dom.js';

const SWIPE_PX = 40;
const DOUBLE_TAP_MS = 280;

// pictures: [{url, alt}], the one at `index` first.
export function openViewer(pictures, index) {
  return new Viewer(pictures, index);
}

class Viewer {
  constructor(pictures, index) {
    Object.assign(this, { pictures, index, from: null });
    this.image = h('img', { testid: 'viewer-image', draggable: 'false' });
    this.stage = h('div', { class: 'viewer-stage' }, this.image);
    this.count = h('p', { class: 'viewer-count', role: 'status', testid: 'viewer-count' });
    this.before = this.arrow('back', T.viewerBefore, -1, 'viewer-before');
    this.after = this.arrow('next', T.viewerNext, 1, 'viewer-next');
    this.el = h('dialog', { class: 'viewer', 'aria-label': T.viewer, testid: 'lightbox' }, this.stage, this.count, this.before, this.after,
      button(icon('close'), () => this.el.close(), { class: 'viewer-button viewer-close', 'aria-label': T.viewerClose, testid: 'viewer-close' }));
    this.listen();
    document.body.append(this.el);
    this.show(index);
    this.el.showModal();
  }

  arrow(name, label, step, testid) {
    return button(icon(name), () => this.turn(step), { class: `viewer-button viewer-${name}`, 'aria-label': label, testid });
  }

  listen() {
    this.el.addEventListener('close', () => { clearTimeout(this.tap); this.el.remove(); });
    this.el.addEventListener('keydown', (event) => this.key(event));
    this.stage.addEventListener('click', () => this.tapped());
    this.stage.addEventListener('dblclick', () => { clearTimeout(this.tap); this.enlarge(); });
    this.stage.addEventListener('pointerdown', (event) => { this.from = event.isPrimary ? event.clientX : null; this.turned = false; });
    this.stage.addEventListener('pointerup', (event) => this.swiped(event));
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) this.turn(step);
    else if (event.key === '+' || event.key === '-') this.enlarge(event.key === '+');
    else return;
    event.preventDefault();
  }

  // Perhaps the first half of a double tap.
  tapped() {
    clearTimeout(this.tap);
    if (!this.turned) this.tap = setTimeout(() => this.el.close(), DOUBLE_TAP_MS);
  }

  swiped(event) {
    const way = this.from === null ? 0 : event.clientX - this.from;
    this.from = null;
    if (Math.abs(way) < SWIPE_PX || this.el.classList.contains('large')) return;
    this.turned = true;
    this.turn(way < 0 ? 1 : -1);
  }

  turn(step) {
    const index = this.index + step;
    if (index >= 0 && index < this.pictures.length) this.show(index);
  }

  show(index) {
    this.index = index;
    const { url, alt } = this.pictures[index];
    this.image.src = url;
    this.image.alt = alt;
    this.enlarge(false);
    const several = this.pictures.length > 1;
    this.count.textContent = T.viewerCount(index + 1, this.pictures.length);
    this.count.hidden = !several;
    this.mark(this.before, several, index === 0);
    this.mark(this.after, several, index === this.pictures.length - 1);
  }

  // Disabled only for the ear and the eye: a button that lost the focus would drop it out of the dialog.
  mark(el, shown, off) {
    el.hidden = !shown;
    el.setAttribute('aria-disabled', String(off));
  }

  enlarge(on = !this.el.classList.contains('large')) {
    this.el.classList.toggle('large', on);
  }
}
