// What this page knows of its room: events put in order by their numbers, and messages that wait to be sent. No DOM.

const EARLY = 1_000;    // events kept that came before one with a lower number
const OUTBOX = 100;     // messages kept while there is no connection

export class Room {
  #epoch = '';
  #seq = 0;
  #goal = 0;            // the highest number heard of
  #early = new Map();
  #missed = new Set();  // names that were here before we caught up and are not back yet
  members = new Map();
  you = null;

  /** True if an event is known to be missing. */
  get behind() {
    return this.#goal > this.#seq || this.#early.size > 0;
  }

  /**
   * Takes an event and gives back what to show now, in order: `{ message }`, `{ arrived }`, `{ left }`, `{ members }`.
   * What came twice gives nothing; what came too early is kept until its turn.
   */
  take(event) {
    const changes = [];
    switch (event.type) {
      case 'joined':
        this.#adopt(event, changes);
        break;
      case 'here':
        if (event.epoch === this.#epoch) this.#goal = Math.max(this.#goal, event.seq);
        else this.#goal = Infinity;
        return changes;
      case 'message':
      case 'arrived':
      case 'left':
        if (event.epoch === this.#epoch && event.seq <= this.#seq) return changes;
        if (this.#early.size < EARLY) this.#early.set(`${event.epoch} ${event.seq}`, event);
        break;
      default:
        return changes;
    }
    this.#drain(changes);
    return changes;
  }

  #adopt(event, changes) {
    const same = event.epoch === this.#epoch;
    this.you = event.you;
    // An answer that later events overtook says nothing new.
    if (same && event.seq < this.#seq) return;
    for (const message of event.history) {
      if (!same || message.seq > this.#seq) changes.push({ message });
    }
    this.#epoch = event.epoch;
    this.#seq = event.seq;
    this.#goal = event.seq;
    // After a restart everyone comes back one by one: that is no news.
    const before = [...this.members.values()].map((person) => person.name);
    this.members = new Map(event.members.map((person) => [person.id, person]));
    const now = new Set(event.members.map((person) => person.name));
    this.#missed = new Set(before.filter((name) => !now.has(name)));
    for (const [key, early] of this.#early) {
      if (early.epoch !== this.#epoch || early.seq <= this.#seq) this.#early.delete(key);
    }
    changes.push({ members: true });
  }

  #drain(changes) {
    for (;;) {
      const key = `${this.#epoch} ${this.#seq + 1}`;
      const event = this.#early.get(key);
      if (!event) return;
      this.#early.delete(key);
      this.#seq = event.seq;
      if (event.type === 'message') {
        changes.push({ message: event });
      } else if (event.type === 'arrived') {
        this.members.set(event.person.id, event.person);
        if (!this.#missed.delete(event.person.name)) changes.push({ arrived: event.person });
        changes.push({ members: true });
      } else {
        this.members.delete(event.person.id);
        changes.push({ left: event.person }, { members: true });
      }
    }
  }
}

/** Messages that nobody has confirmed yet; they survive a reload. */
export class Outbox {
  #items;
  #save;

  constructor(items, save) {
    this.#items = items.filter((item) => typeof item?.ref === 'string' && typeof item.text === 'string');
    this.#save = save;
  }

  /** The waiting messages of a room, the oldest first. */
  of(room) {
    return this.#items.filter((item) => item.room === room);
  }

  /** Gives back the new item, or null when there are too many. */
  add(room, text) {
    if (this.#items.length >= OUTBOX) return null;
    const item = { ref: mark(), room, text };
    this.#items.push(item);
    this.#save(this.#items);
    return item;
  }

  /** Says whether it was there. */
  remove(ref) {
    const before = this.#items.length;
    this.#items = this.#items.filter((item) => item.ref !== ref);
    if (this.#items.length === before) return false;
    this.#save(this.#items);
    return true;
  }
}

/** 128 random bits as hex. (`crypto.randomUUID` is missing on pages that are neither https nor on this machine.) */
export function mark() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
