// Ties the page together: what the person does goes to the line, what the line hears goes to the room and the view.

import { Line } from './line.js';
import { Outbox, Room, mark } from './room.js';
import * as view from './view.js';

const ROOM = /^[\p{Alphabetic}\p{N} ._-]{1,32}$/u;   // as the backend has it
const TEXT_CHARS = 2_000;
const RECEIPT = 8_000;          // ms until a message that did not come back is sent again
const GAP = 1_500;              // ms until a missing event is fetched: it may only be late
const TYPING_AGAIN = 2_500;     // ms between two typing notices
const TYPING_IDLE = 3_000;      // ms without a key until typing is over

const { at } = view;

// A reload finds name, room and unsent messages in the tab's own storage, so two windows can be two people.
const stored = {
  read(key, otherwise) {
    try { return JSON.parse(sessionStorage.getItem(`chat.${key}`)) ?? otherwise; } catch { return otherwise; }
  },
  write(key, value) {
    try { sessionStorage.setItem(`chat.${key}`, JSON.stringify(value)); } catch { /* then it is not kept */ }
  },
};

const saved = stored.read('outbox', []);
const outbox = new Outbox(Array.isArray(saved) ? saved : [], (items) => stored.write('outbox', items));
const line = new Line(hear, show);
let me = { name: '', room: '', key: '', joined: false, ...stored.read('me', {}) };
let room = new Room();
let sent = new Set();           // references of this page's own messages
let underWay = null;            // the reference that waits for its receipt
let receiptTimer = 0;
let gapTimer = 0;
let unread = 0;

// ---- Hearing

function hear(event) {
  switch (event.type) {
    case 'typing':
      if (event.person.id !== room.you?.id) view.typing(event.person, event.on);
      return;
    case 'error':
      refused(event);
      return;
    default:
  }
  const changes = room.take(event);
  if (event.type === 'joined') view.quietly(() => changes.forEach(apply));
  else changes.forEach(apply);
  // A receipt may come a second time, for a message that is shown already.
  if (event.type === 'message') received(event.ref);
  clearTimeout(gapTimer);
  if (room.behind) gapTimer = setTimeout(() => line.catchUp(), GAP);
}

function apply({ message, arrived, left, members }) {
  if (message) heard(message);
  if (arrived && arrived.id !== room.you?.id) view.arrived(arrived);
  if (left && left.id !== room.you?.id) view.left(left);
  if (members) view.showMembers(room.members, room.you);
}

function heard(message) {
  const mine = message.from.id === room.you?.id || sent.has(message.ref);
  if (mine) received(message.ref);
  view.showMessage(message, mine);
  if (mine && !document.hidden) view.toLatest();
  if (document.hidden && !mine) view.title(me.room, ++unread);
}

function refused(event) {
  if (event.action === 'join') {
    leave(event.message);
  } else if (event.ref && outbox.remove(event.ref)) {
    view.fail(event.ref, event.message, () => view.unpend(event.ref));
    if (underWay === event.ref) underWay = null;
    pump();
  } else {
    view.toast(event.message);
  }
}

function show(state) {
  view.showState(state);
  clearTimeout(receiptTimer);
  underWay = null;
  if (state.kind === 'open') pump();
  view.waitFor(state.kind === 'open' ? 'Sending…' : 'Waiting for the connection');
}

// ---- Saying

/** Sends the oldest waiting message and waits for it to come back: so they arrive in order, and none gets lost. */
function pump() {
  const [next] = outbox.of(me.room);
  if (!next || underWay || !line.send({ action: 'sendmessage', text: next.text, ref: next.ref })) return;
  underWay = next.ref;
  clearTimeout(receiptTimer);
  receiptTimer = setTimeout(() => line.trouble('A message was not confirmed.'), RECEIPT);
}

function received(ref) {
  if (!sent.has(ref) || !outbox.remove(ref)) return;
  view.unpend(ref);
  if (underWay === ref) {
    clearTimeout(receiptTimer);
    underWay = null;
  }
  pump();
}

function say(event) {
  event.preventDefault();
  const text = at('message-field').value.trim();
  if (!text || length(text) > TEXT_CHARS) return;
  const item = outbox.add(me.room, text);
  if (!item) {
    view.toast('Too many messages are waiting already. This one stays in the field.');
    return;
  }
  sent.add(item.ref);
  at('message-field').value = '';
  typed();
  view.pend(item);
  view.waitFor(line.state.kind === 'open' ? 'Sending…' : 'Waiting for the connection');
  pump();
}

const length = (text) => [...text].length;

// ---- Typing

let typingSince = 0;
let idleTimer = 0;

function typed() {
  const field = at('message-field');
  const count = length(field.value.trim());
  at('send-button').disabled = count === 0 || count > TEXT_CHARS;
  at('message-counter').textContent = count > TEXT_CHARS - 200 ? String(TEXT_CHARS - count) : '';
  at('message-counter').classList.toggle('over', count > TEXT_CHARS);
  if (!CSS.supports('field-sizing', 'content')) {
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }

  clearTimeout(idleTimer);
  if (count === 0) {
    // After a message nothing needs to be said: the message itself ends the notice.
    if (typingSince && !underWay && outbox.of(me.room).length === 0) line.send({ action: 'typing', on: false });
    typingSince = 0;
    return;
  }
  const now = Date.now();
  if (now - typingSince > TYPING_AGAIN && line.send({ action: 'typing', on: true })) typingSince = now;
  idleTimer = setTimeout(() => {
    if (typingSince) line.send({ action: 'typing', on: false });
    typingSince = 0;
  }, TYPING_IDLE);
}

// ---- Coming and going

async function enter() {
  let gateway;
  try {
    const answer = await fetch('/config.json');
    ({ gateway } = await answer.json());
  } catch {
    leave('The chat server does not answer. Is it running?');
    return;
  }
  me.joined = true;
  stored.write('me', me);
  history.replaceState(null, '', `#${encodeURIComponent(me.room)}`);
  room = new Room();
  const waiting = outbox.of(me.room);
  sent = new Set(waiting.map((item) => item.ref));
  view.showChat(me.room);
  for (const item of waiting) view.pend(item);
  line.start({ gateway, ...me });
}

function leave(error) {
  line.stop();
  clearTimeout(gapTimer);
  me.joined = false;
  stored.write('me', me);
  view.showJoin({ name: me.name, room: me.room || wantedRoom() || 'lobby', error });
}

/** The room that the address asks for, or nothing. */
function wantedRoom() {
  try {
    const wanted = decodeURIComponent(location.hash.slice(1)).trim().toLowerCase();
    return ROOM.test(wanted) ? wanted : '';
  } catch {
    return '';
  }
}

at('join-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = at('name-field').value.trim();
  const wanted = at('room-field').value.trim().toLowerCase();
  if (!name) return view.joinError('Please give a name.', 'name-field');
  if (/\p{Cc}/u.test(name)) return view.joinError('A name has visible characters only.', 'name-field');
  if (!wanted) return view.joinError('Please give a room.', 'room-field');
  if (!ROOM.test(wanted)) {
    return view.joinError('A room has letters, digits, spaces and - _ . only.', 'room-field');
  }
  view.joinError();
  me = { name, room: wanted, key: me.key || mark(), joined: false };
  return enter();
});

at('composer').addEventListener('submit', say);
at('message-field').addEventListener('input', typed);
at('message-field').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) say(event);
});
at('leave-button').addEventListener('click', () => leave());
at('retry-button').addEventListener('click', () => line.retryNow());
at('people-button').addEventListener('click', (event) => {
  view.showPeople(event.currentTarget.getAttribute('aria-expanded') !== 'true');
});
at('scrim').addEventListener('click', () => view.showPeople(false));
at('latest-button').addEventListener('click', () => view.toLatest());
at('invite-button').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    view.toast('Link copied. Open it in another window.');
  } catch {
    view.toast(location.href);
  }
});
addEventListener('keydown', (event) => { if (event.key === 'Escape') view.showPeople(false); });
document.addEventListener('visibilitychange', () => {
  if (document.hidden || at('chat-screen').hidden) return;
  unread = 0;
  view.title(me.room);
});
// An invitation opened in a tab that is already in another room.
addEventListener('hashchange', () => {
  const wanted = wantedRoom();
  if (!wanted || wanted === me.room) return;
  me.room = wanted;
  if (me.joined) enter();
  else at('room-field').value = wanted;
});

const invited = wantedRoom();
if (me.joined && me.name && me.room && (!invited || invited === me.room)) {
  enter();
} else {
  if (invited) me.room = invited;
  leave();
}
