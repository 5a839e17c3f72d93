// The page's elements: puts what happened into them. All text goes in as text, never as HTML.

const SHOWN = 500;               // messages kept in the page
const TOGETHER = 5 * 60_000;     // ms between two messages of one person that are shown as one group
const SECOND_THOUGHT = 3_000;    // ms before "left" is said: after a reload people are back by then
const TYPING = 4_000;            // ms until a typing notice that was not renewed fades

export const at = (id) => document.getElementById(id);

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function avatar(name) {
  const words = name.split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : [...name].slice(0, 2).join('');
  const element = make('span', 'avatar', letters.toUpperCase());
  let hue = 0;
  for (const character of name) hue = (hue * 31 + character.codePointAt(0)) % 360;
  element.style.setProperty('--hue', hue);
  element.setAttribute('aria-hidden', 'true');
  return element;
}

/** A name that keeps its own writing direction to itself. */
function isolated(name, className) {
  return make('bdi', className, name);
}

// ---- The two screens

export function showJoin({ name, room, error }) {
  at('chat-screen').hidden = true;
  at('join-screen').hidden = false;
  at('name-field').value = name;
  at('room-field').value = room;
  joinError(error);
  document.title = 'Wiregate chat';
  (name ? at('join-button') : at('name-field')).focus();
}

export function joinError(error, field) {
  at('join-error').hidden = !error;
  at('join-error').textContent = error ?? '';
  for (const id of ['name-field', 'room-field']) at(id).setAttribute('aria-invalid', String(field === id));
  if (field) at(field).focus();
}

export function showChat(room) {
  at('join-screen').hidden = true;
  at('chat-screen').hidden = false;
  at('room-title').textContent = room;
  for (const id of ['message-list', 'pending-list', 'member-list']) at(id).replaceChildren();
  at('empty').hidden = false;
  showPeople(false);
  typists.clear();
  showTyping();
  for (const timer of departures.values()) clearTimeout(timer);
  departures.clear();
  last = {};
  stuck = true;
  title(room);
  // On a phone that would open the keyboard over the conversation.
  if (matchMedia('(hover: hover)').matches) at('message-field').focus();
}

// ---- The connection

let countdown = 0;

export function showState(state) {
  clearInterval(countdown);
  const status = at('connection-status');
  status.dataset.state = state.kind;
  const words = { open: 'Connected', connecting: state.again ? 'Reconnecting' : 'Connecting', waiting: 'Offline' };
  status.textContent = words[state.kind] ?? '';
  const banner = at('reconnect-banner');
  const wasHidden = banner.hidden;
  banner.hidden = !(state.kind === 'waiting' || (state.kind === 'connecting' && state.again));
  at('retry-button').hidden = state.kind !== 'waiting';
  if (state.kind === 'waiting') {
    // Screen readers hear the reason once and not each second of the countdown.
    if (wasHidden || at('reconnect-reason').textContent !== state.why) at('reconnect-reason').textContent = state.why;
    const tick = () => {
      const seconds = Math.max(1, Math.ceil((state.until - performance.now()) / 1000));
      at('reconnect-countdown').textContent = `Reconnecting in ${seconds} s.`;
    };
    tick();
    countdown = setInterval(tick, 250);
  } else if (state.kind === 'connecting' && state.again) {
    at('reconnect-countdown').textContent = 'Reconnecting now…';
  } else if (state.kind === 'open' || state.kind === 'closed') {
    at('reconnect-reason').textContent = '';
    at('reconnect-countdown').textContent = '';
  }
}

// ---- People

export function showMembers(members, you) {
  const sorted = [...members.values()].sort((a, b) =>
    Number(b.id === you.id) - Number(a.id === you.id) || a.name.localeCompare(b.name));
  at('member-list').replaceChildren(...sorted.map((person) => {
    const item = make('li');
    item.dataset.testid = 'member';
    item.append(avatar(person.name), isolated(person.name, 'who'));
    if (person.id === you.id) item.append(make('span', 'you', '(you)'));
    return item;
  }));
  at('member-count').textContent = String(sorted.length);
  at('people-count').textContent = String(sorted.length);
}

/** On a phone the list of people lies over the conversation. */
export function showPeople(open) {
  if (open) at('side').focus();
  else if (at('people-button').getAttribute('aria-expanded') === 'true') at('people-button').focus();
  at('chat-screen').classList.toggle('show-people', open);
  at('people-button').setAttribute('aria-expanded', String(open));
}

const departures = new Map();

export function arrived(person) {
  const departure = departures.get(person.id);
  departures.delete(person.id);
  clearTimeout(departure);
  if (!departure) note(person, ' joined');
}

export function left(person) {
  clearTimeout(departures.get(person.id));
  departures.set(person.id, setTimeout(() => {
    departures.delete(person.id);
    note(person, ' left');
  }, SECOND_THOUGHT));
}

function note(person, what) {
  const item = make('li', 'note');
  item.dataset.testid = 'note';
  item.append(isolated(person.name), what);
  append(item);
  last = { day: last.day };
}

const typists = new Map();

export function typing(person, on) {
  clearTimeout(typists.get(person.id)?.timer);
  typists.delete(person.id);
  if (on) {
    const timer = setTimeout(() => typing(person, false), TYPING);
    typists.set(person.id, { name: person.name, timer });
  }
  showTyping();
}

function showTyping() {
  const names = [...typists.values()].map(({ name }) => isolated(name));
  const line = at('typing-text');
  if (names.length === 1) line.replaceChildren(names[0], ' is typing');
  else if (names.length === 2) line.replaceChildren(names[0], ' and ', names[1], ' are typing');
  else line.replaceChildren(names.length ? 'Several people are typing' : '');
  at('typing-line').classList.toggle('on', names.length > 0);
}

// ---- Messages

let last = {};    // the message above: { from, at, day }

export function showMessage(message, mine) {
  typing(message.from, false);
  const when = new Date(message.at);
  const day = when.toDateString();
  if (day !== last.day) {
    const item = make('li', 'day', day === new Date().toDateString() ? 'Today' : calendar.format(when));
    append(item);
    last = { day };
  }
  const more = last.from === message.from.id && message.at - last.at < TOGETHER;
  last = { from: message.from.id, at: message.at, day };

  const item = bubble(message.text, `${mine ? 'mine' : ''} ${more ? 'more' : ''}`);
  item.dataset.testid = 'message';
  item.dataset.mine = String(mine);
  const meta = make('div', 'meta');
  const time = make('time', '', clock.format(when));
  time.dateTime = when.toISOString();
  meta.append(isolated(message.from.name, 'author'), time);
  item.prepend(avatar(message.from.name), meta);
  append(item);
}

/** While a whole history is shown, screen readers do not read it out; they do what comes after it. */
export function quietly(act) {
  const list = at('message-list');
  list.setAttribute('aria-live', 'off');
  act();
  setTimeout(() => list.setAttribute('aria-live', 'polite'), 1_000);
}

function bubble(text, className) {
  const item = make('li', `message ${className}`);
  const content = make('div', 'text', text);
  content.dataset.testid = 'message-text';
  content.dir = 'auto';
  item.append(content);
  return item;
}

function append(item) {
  const list = at('message-list');
  list.append(item);
  while (list.childElementCount > SHOWN) list.firstElementChild.remove();
  at('empty').hidden = true;
}

/** A message on its way; `fate(ref, …)` or `unpend(ref)` follows. */
export function pend({ ref, text }) {
  const item = bubble(text, 'mine pending');
  item.dataset.testid = 'pending-message';
  item.dataset.ref = ref;
  item.append(make('div', 'fate'));
  at('pending-list').append(item);
  at('empty').hidden = true;
  toLatest();
}

export function unpend(ref) {
  pending(ref)?.remove();
}

/** Says below each waiting message what it waits for. */
export function waitFor(what) {
  for (const item of at('pending-list').children) {
    if (!item.classList.contains('failed')) item.querySelector('.fate').textContent = what;
  }
}

export function fail(ref, why, discard) {
  const item = pending(ref);
  if (!item) return;
  item.classList.add('failed');
  const button = make('button', '', 'Remove');
  button.type = 'button';
  button.addEventListener('click', discard);
  item.querySelector('.fate').replaceChildren(`Not sent: ${why}`, button);
}

function pending(ref) {
  return [...at('pending-list').children].find((item) => item.dataset.ref === ref);
}

// ---- Scrolling

// Whoever reads the end stays at the end, whatever grows or shrinks: messages, the banner, the keyboard of a phone.
let stuck = true;
let top = 0;

export function toLatest() {
  stuck = true;
  settle();
}

function settle() {
  const box = at('scroller');
  if (stuck) box.scrollTop = box.scrollHeight;
  at('latest-button').hidden = stuck;
}

at('scroller').addEventListener('scroll', ({ currentTarget: box }) => {
  // Only moving up leaves the end: messages that come quickly put it further away before this is heard.
  if (box.scrollHeight - box.scrollTop - box.clientHeight < 80) stuck = true;
  else if (box.scrollTop < top) stuck = false;
  top = box.scrollTop;
  at('latest-button').hidden = stuck;
}, { passive: true });
const grown = new ResizeObserver(settle);
grown.observe(at('scroller'));
grown.observe(at('stack'));

// ---- Small things

export function title(room, unread = 0) {
  document.title = `${unread ? `(${unread}) ` : ''}${room} · Wiregate chat`;
}

let toastTimer = 0;

export function toast(text) {
  clearTimeout(toastTimer);
  at('toast').textContent = text;
  at('toast').classList.add('on');
  toastTimer = setTimeout(() => at('toast').classList.remove('on'), 3_500);
}
