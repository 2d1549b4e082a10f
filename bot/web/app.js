// What the address asks for: /?link=… · /?as=resident:1 · /?view=three · / , and &embed=1 inside a page of the company.

import { T } from './texts.js';
import { button, h, icon, toast } from './dom.js';
import { getConfig, getPeople } from './api.js';
import { Chat, backButton } from './chat.js';
import { chooser, codeForm, loginPage } from './entry.js';
import { demoSession, realSession, rememberedSession } from './session.js';
import { apply, displayControls } from './prefs.js';
import { deviceStore, tabStore } from './store.js';
import { ThreePhones } from './three.js';

const root = document.getElementById('app');
const state = { config: null, people: null, view: null, page: null, unread: 0 };
const embedded = new URLSearchParams(location.search).has('embed');

// --- pages ---------------------------------------------------------------------------------------

async function route() {
  const asked = new URLSearchParams(location.search);
  const turn = (state.turn = (state.turn || 0) + 1);
  leave();
  const page = await choosePage(asked);
  if (turn === state.turn && page) open(page);
}

async function choosePage(asked) {
  const { demo } = state.config;
  if (asked.get('link')) return byLink(asked.get('link'));
  if (demo && asked.get('view') === 'three') return threePage();
  if (demo && asked.get('as')) return personPage(asked.get('as'));
  if (demo) return chooserPage();
  const remembered = rememberedSession();
  return remembered ? () => ownChat(remembered) : () => show(login());
}

async function byLink(link) {
  history.replaceState(null, '', start()); // the link is a key: it must not stay in the address bar
  try {
    const session = await patiently(() => realSession({ link }));
    return () => ownChat(session);
  } catch (error) {
    toast(error.message);
    return () => show(login(rememberedSession()));
  }
}

async function personPage(person) {
  try {
    const session = await patiently(() => demoSession(person));
    return () => chatPage(session);
  } catch {
    toast(T.noSuchPerson);
    return chooserPage();
  }
}

async function chooserPage() {
  const people = await loadPeople();
  return () => show(chooser(people, {
    onPerson: (id) => go(`/?as=${encodeURIComponent(id)}`), onThree: () => go('/?view=three'), codeBox: codeForm(byCode), controls: controls(),
  }));
}

async function threePage() {
  const people = await loadPeople();
  return () => {
    const asked = new URLSearchParams(location.search);
    const board = new ThreePhones({
      config: state.config, people, wanted: (asked.get('people') || '').split(','), headerStart: backButton(home), headerEnd: controls(), onTitle: showTitle,
      onChange: (ids) => history.replaceState(null, '', `/?view=three&people=${ids.map(encodeURIComponent).join(',')}`),
      onLost: home,
    });
    show(board.el, board);
    board.start();
  };
}

function chatPage(session) {
  const demo = Boolean(session.credentials);
  const leaveButton = demo ? backButton(home) : button(icon('door'), () => logout(session), { class: 'icon-button', 'aria-label': T.logout, testid: 'logout' });
  const chat = new Chat({ session, config: state.config, headerStart: embedded ? null : leaveButton, headerEnd: controls(), onDesk: countUnread, onExpired: () => expired(session) });
  show(h('main', { class: 'single' }, chat.el), chat);
  chat.start();
  if (matchMedia('(hover: hover) and (pointer: fine)').matches) chat.composer.input.focus();
}

// A page of another site may show residents their chat; what staff press must not lie under foreign pictures.
function ownChat(session) {
  const staff = !['resident', 'stranger'].includes(session.me.role);
  if (staff && window.self !== window.top) show(notInFrame());
  else chatPage(session);
}

function notInFrame() {
  return h('main', { class: 'entry login' }, h('h1', { class: 'center', text: T.notInFrame }),
    h('a', { class: 'primary wide', href: '/', target: '_blank', rel: 'noopener', text: T.openAlone }));
}

function login(remembered) {
  return loginPage(state.config, { codeBox: codeForm(byCode), remembered, onContinue: () => open(() => ownChat(remembered)), controls: controls() });
}

async function byCode(code) {
  const session = await realSession({ code });
  open(() => ownChat(session));
}

function logout(session) {
  session.forget();
  home();
  tabStore.remove(`draft.${session.me.id}`);
  deviceStore.remove(`outbox.${session.me.id}`);
}

function expired(session) {
  session.forget();
  if (!session.credentials) toast(T.expired);
  home();
}

// --- moving around -------------------------------------------------------------------------------

// What is on the screen, so that it can be drawn again in another language.
function open(page) {
  state.page = page;
  leave();
  page();
}

function controls() {
  return displayControls(() => state.page && open(state.page));
}

function start() {
  return embedded ? '/?embed=1' : '/';
}

function show(el, view = null) {
  leave();
  state.view = view;
  root.replaceChildren(el);
}

function leave() {
  if (state.view) state.view.stop();
  state.view = null;
  state.unread = 0;
  showTitle(0);
}

function go(address) {
  history.pushState(null, '', address);
  route();
}

function home() {
  go(start());
}

async function loadPeople() {
  state.people = state.people || await patiently(getPeople);
  return state.people;
}

// At the very start there is no chat that could show the banner: wait and try again.
async function patiently(call) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      return await call();
    } catch (error) {
      if (!error.temporary) throw error;
      root.replaceChildren(h('p', { class: 'boot', role: 'status', testid: 'offline', text: T.offline }));
      await new Promise((resolve) => { setTimeout(resolve, wait); });
    }
  }
}

// --- title, keyboard ------------------------------------------------------------------

function countUnread() {
  if (!document.hidden) return;
  state.unread += 1;
  showTitle(state.unread);
}

function showTitle(unread) {
  const name = state.config && state.config.community ? T.property(state.config.community) : T.appName;
  document.title = unread && document.hidden ? `(${unread}) ${name}` : name;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  state.unread = 0;
  showTitle(0);
});

// iOS lays the keyboard over the page instead of shrinking it: follow the visible part.
function followKeyboard() {
  const view = window.visualViewport;
  if (!view) return;
  const fit = () => {
    const covered = view.scale === 1 && window.innerHeight - view.height > 80;
    document.documentElement.style.setProperty('--app-height', covered ? `${view.height}px` : '');
    if (covered) window.scrollTo(0, 0);
  };
  view.addEventListener('resize', fit);
}

async function main() {
  apply();
  root.firstElementChild.textContent = T.boot;
  document.documentElement.classList.toggle('embedded', embedded);
  followKeyboard();
  window.addEventListener('popstate', route);
  state.config = await patiently(getConfig);
  await route();
}

main();
