// Before a chat: choose a person (demo) or log in with a code.

import { DESK_LANG, T } from './texts.js';
import { avatar, button, h, icon, textWithPhones, toast } from './dom.js';

export function chooser(people, { onPerson, onThree, codeBox, controls }) {
  const groups = grouped(people).map((group) => h('section', { class: 'group' },
    h('h2', { text: group.title }), h('div', { class: 'people' }, group.people.map((person) => personButton(person, onPerson)))));
  return h('main', { class: 'entry' },
    h('div', { class: 'entry-top' }, h('div', null, h('h1', { text: T.chooseTitle }), h('p', { class: 'muted', text: T.chooseHint })), controls),
    button([h('span', { class: 'tile-icon' }, icon('phones')), h('span', { class: 'person-text' }, h('b', { text: T.threeView }), h('small', { text: T.threeHint }))], onThree, { class: 'person feature', testid: 'three-view' }),
    groups, h('details', { class: 'code-more' }, h('summary', { text: T.codeSummary }), codeBox));
}

export function grouped(people) {
  const known = T.groups.map(({ title, roles }) => ({ title, people: people.filter((person) => roles.includes(person.role)) }));
  const rest = people.filter((person) => !T.groups.some(({ roles }) => roles.includes(person.role)));
  return [...known, { title: T.otherGroup, people: rest }].filter((group) => group.people.length);
}

function personButton(person, onPerson) {
  const about = [person.title, person.subtitle].filter(Boolean).join(' · ');
  return button([avatar(person.name, person.role, ''), h('span', { class: 'person-text' }, h('b', { text: person.name, lang: DESK_LANG }), h('small', { text: about, lang: DESK_LANG }))],
    () => onPerson(person.id), { class: 'person', testid: `person-${person.id}` });
}

export function codeForm(onCode) {
  const input = h('input', { class: 'field', type: 'text', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 12, placeholder: T.codeLabel, 'aria-label': T.codeLabel, testid: 'code-input' });
  const go = h('button', { type: 'submit', class: 'primary', text: T.login, testid: 'code-send' });
  const form = h('form', { class: 'code-form' }, input, go);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const code = input.value.replace(/\s/g, '');
    if (!code) { toast(T.codeMissing); input.focus(); return; }
    go.disabled = true;
    await onCode(code).catch((error) => toast(error.message));
    go.disabled = false;
  });
  return form;
}

export function loginPage(config, { codeBox, remembered, onContinue, controls }) {
  const help = config.duty_phone && h('p', { class: 'muted center' }, textWithPhones(`${T.dutyPhone}${config.duty_phone}`, T.call));
  return h('main', { class: 'entry login' }, h('div', { class: 'entry-top end' }, controls),
    h('span', { class: 'logo' }, icon('house')), h('h1', { class: 'center', text: config.community ? T.property(config.community) : T.appName }),
    h('p', { class: 'muted center', text: T.loginHint }), codeBox,
    remembered && button(T.continueAs(remembered.me.name), onContinue, { class: 'plain wide', testid: 'continue' }), help);
}
