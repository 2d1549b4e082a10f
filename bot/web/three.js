// Three phones side by side: what a resident writes, and what the worker and the supervisor see of it.
// On a desktop three frames; on a phone three pages to swipe, with tabs.

import { T } from './texts.js';
import { button, h, setBadge, toast } from './dom.js';
import { Chat } from './chat.js';
import { demoSession } from './session.js';
import { grouped } from './entry.js';
import { clock } from './time.js';

const SEATS = [
  { roles: ['resident', 'stranger'], prefer: '王女士' },
  { roles: ['worker'], prefer: '' },
  { roles: ['supervisor', 'manager', 'desk'], prefer: '' },
];

export class ThreePhones {
  // options: config, people, wanted (person ids), headerStart, headerEnd, onChange(ids), onTitle(unread), onLost()
  constructor(options) {
    Object.assign(this, options);
    this.narrow = matchMedia('(max-width: 899px)');
    this.current = 0;
    this.phones = this.seat().map((person, index) => new Phone(this, index, person));
    this.tabs = h('div', { class: 'tabs', role: 'tablist', 'aria-label': T.threeTitle }, this.phones.map((phone) => phone.tab));
    this.strip = h('div', { class: 'phones' }, this.phones.map((phone) => phone.el));
    this.el = h('main', { class: 'three', testid: 'three-phones' },
      h('header', { class: 'bar three-bar' }, h('div', { class: 'bar-side' }, this.headerStart), h('div', { class: 'bar-middle' }, h('h1', { class: 'peer', text: T.threeTitle })), h('div', { class: 'bar-side bar-end' }, this.headerEnd)),
      this.tabs, this.strip);
    this.strip.addEventListener('scroll', () => this.swiped(), { passive: true });
    this.onSeen = () => this.showUnread();
    document.addEventListener('visibilitychange', this.onSeen);
    this.clockTimer = setInterval(() => this.tick(), 10_000);
  }

  start() {
    this.phones.forEach((phone) => phone.open());
    this.select(0);
  }

  stop() {
    document.removeEventListener('visibilitychange', this.onSeen);
    clearInterval(this.clockTimer);
    this.phones.forEach((phone) => phone.close());
  }

  tick() {
    this.phones.forEach((phone) => phone.tick());
  }

  // Whom the address asks for, else the first free person of the fitting role, else anybody free.
  seat() {
    const free = new Map(this.people.map((person) => [person.id, person]));
    const take = (person) => { if (person) free.delete(person.id); return person; };
    const asked = SEATS.map((seat, index) => take(free.get(this.wanted[index])));
    return SEATS.map((seat, index) => asked[index] || take(this.pick(Array.from(free.values()), seat)));
  }

  pick(free, { roles, prefer }) {
    const fitting = roles.flatMap((role) => free.filter((person) => person.role === role));
    return fitting.find((person) => person.name === prefer) || fitting[0] || free[0];
  }

  ids() {
    return this.phones.map((phone) => phone.person && phone.person.id).filter(Boolean);
  }

  changed() {
    this.phones.forEach((phone) => phone.fillPicker());
    this.onChange(this.ids());
  }

  // --- which phone is looked at --------------------------------------------------------------------

  select(index, scroll) {
    this.current = index;
    if (scroll) this.strip.scrollTo({ left: this.strip.clientWidth * index, behavior: 'smooth' });
    this.showUnread();
  }

  swiped() {
    if (!this.narrow.matches) return;
    const index = Math.round(this.strip.scrollLeft / Math.max(1, this.strip.clientWidth));
    if (index !== this.current && this.phones[index]) this.select(index);
  }

  showUnread() {
    if (!document.hidden && this.phones[this.current]) this.phones[this.current].unread = 0;
    this.phones.forEach((phone) => phone.showUnread(phone.index === this.current));
    this.onTitle(this.phones.reduce((sum, phone) => sum + phone.unread, 0));
  }
}

class Phone {
  constructor(board, index, person) {
    Object.assign(this, { board, index, person, unread: 0, chat: null, turn: 0 });
    this.badge = h('span', { class: 'badge', testid: 'unread', hidden: true });
    this.tabBadge = h('span', { class: 'badge', testid: 'tab-unread', hidden: true });
    this.tabName = h('span');
    this.tab = button([this.tabName, this.tabBadge], () => board.select(index, true), { class: 'tab', id: `tab-${index}`, role: 'tab', 'aria-controls': `phone-${index}`, testid: `tab-${index}` });
    this.picker = h('select', { class: 'picker', 'aria-label': T.pickPerson, testid: 'picker' });
    this.picker.addEventListener('change', () => this.change(this.picker.value));
    this.screen = h('div', { class: 'screen' });
    this.time = h('span');
    this.el = this.frame();
    this.fill();
  }

  frame() {
    const status = h('div', { class: 'statusbar', 'aria-hidden': 'true' }, this.time, h('i', { class: 'island' }), h('i', { class: 'battery' }));
    const el = h('div', { class: 'phone', id: `phone-${this.index}`, role: 'tabpanel', 'aria-labelledby': `tab-${this.index}`, testid: `phone-${this.index}` },
      h('div', { class: 'phone-top' }, this.picker, this.badge), h('div', { class: 'case' }, status, this.screen));
    const look = () => { if (this.board.current !== this.index) this.board.select(this.index); };
    el.addEventListener('pointerdown', look);
    el.addEventListener('focusin', look);
    return el;
  }

  fill() {
    this.tabName.textContent = this.person ? this.person.name : '';
    this.tick();
  }

  tick() {
    this.time.textContent = clock(Date.now());
  }

  // Nobody sits at two phones at once.
  fillPicker() {
    const taken = new Set(this.board.ids());
    const option = (person) => {
      const mine = this.person && person.id === this.person.id;
      return h('option', { value: person.id, selected: mine, disabled: !mine && taken.has(person.id), text: [person.name, person.title || T.roleName[person.role]].filter(Boolean).join(' · ') });
    };
    this.picker.replaceChildren(...grouped(this.board.people).map((group) => h('optgroup', { label: group.title }, group.people.map(option))));
  }

  change(id) {
    this.close();
    this.person = this.board.people.find((person) => person.id === id);
    this.unread = 0;
    this.fill();
    this.open();
    this.board.changed();
    this.board.showUnread();
  }

  async open() {
    this.fillPicker();
    if (!this.person) return;
    const turn = (this.turn += 1);
    try {
      const session = await demoSession(this.person.id);
      if (turn === this.turn) this.show(session);
    } catch (error) {
      if (turn !== this.turn) return;
      if (!error.temporary) { toast(error.message); this.board.onLost(); } else setTimeout(() => { if (turn === this.turn) this.open(); }, 2000);
    }
  }

  show(session) {
    this.chat = new Chat({ session, config: this.board.config, onDesk: () => this.arrived(), onExpired: () => this.board.onLost() });
    this.screen.replaceChildren(this.chat.el);
    this.chat.start().then(() => this.tick());
  }

  close() {
    this.turn += 1;
    if (this.chat) this.chat.stop();
    this.chat = null;
    this.screen.replaceChildren();
  }

  arrived() {
    this.unread += 1;
    this.board.tick();
    this.board.showUnread();
  }

  showUnread(current) {
    [this.badge, this.tabBadge].forEach((badge) => setBadge(badge, this.unread, T.unread(this.unread)));
    this.el.classList.toggle('current', current);
    this.el.classList.toggle('waiting', this.unread > 0);
    this.tab.setAttribute('aria-selected', String(current));
  }
}
