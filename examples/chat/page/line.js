// The connection to the gateway: opens it, joins the room, notices when it is lost, and comes back by itself.

const FIRST_WAIT = 500;        // ms before the first new attempt; doubles from there
const LONGEST_WAIT = 30_000;   // ms
const PATIENCE = 10_000;       // ms for the connection to open and the join to be answered, or for a sign of life
const PULSE = 15_000;          // ms between two questions whether the room still knows us
const STEADY = 5_000;          // ms in the room after which earlier failures are forgotten

export class Line {
  #socket = null;
  #timers = new Map();
  #failures = 0;
  #joining = false;
  #target = null;   // { gateway, name, room, key }
  #hear;
  #show;

  /** `hear(event)` for each message; `show({ kind: 'connecting' | 'open' | 'waiting', why, until })` for each change. */
  constructor(hear, show) {
    this.#hear = hear;
    this.#show = show;
    this.state = { kind: 'closed' };
    addEventListener('online', () => this.retryNow());
    addEventListener('offline', () => this.#checkPulse());
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      this.retryNow();
      this.#checkPulse();
    });
  }

  start(target) {
    this.stop();
    this.#target = target;
    this.#connect();
  }

  stop() {
    this.#target = null;
    this.#failures = 0;
    this.#hangUp();
    this.#become({ kind: 'closed' });
  }

  /** Sends if the room is joined; says whether it did. */
  send(message) {
    if (this.state.kind !== 'open') return false;
    this.#put(message);
    return true;
  }

  /** Asks for the whole state of the room again. */
  catchUp() {
    if (this.state.kind === 'open') this.#join();
  }

  /** Tries again now instead of at the end of the countdown. */
  retryNow() {
    if (this.state.kind === 'waiting') this.#connect();
  }

  /** Something did not work although the socket is open: try again after a while, on the same socket. */
  trouble(why) {
    if (this.state.kind === 'closed' || this.state.kind === 'waiting') return;
    this.#clear();
    this.#joining = false;
    this.#failures += 1;
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.#failures - 1));
    // Jitter: after a restart of the gateway not everyone comes back in the same moment.
    const wait = longest * (0.5 + Math.random() / 2);
    this.#become({ kind: 'waiting', why, until: performance.now() + wait });
    this.#after('retry', wait, () => this.#connect());
  }

  #connect() {
    this.#clear();
    this.#become({ kind: 'connecting', again: this.#failures > 0 });
    this.#after('patience', PATIENCE, () => this.#lost('The chat does not answer.'));
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#join();
      return;
    }
    this.#hangUp(false);
    const url = new URL(this.#target.gateway);
    url.searchParams.set('name', this.#target.name);
    url.searchParams.set('room', this.#target.room);
    const socket = new WebSocket(url);
    this.#socket = socket;
    const ours = (act) => (event) => { if (socket === this.#socket) act(event); };
    socket.onopen = ours(() => this.#join());
    socket.onmessage = ours((event) => this.#receive(event.data));
    socket.onclose = ours((event) => this.#lost(event.code === 1012 || event.code === 1001
      ? 'The gateway is restarting.' : this.#failures > 0 ? 'Still no connection.' : 'The connection was lost.'));
  }

  #lost(why) {
    this.#hangUp();
    this.trouble(why);
  }

  #hangUp(clear = true) {
    const socket = this.#socket;
    this.#socket = null;
    this.#joining = false;
    if (clear) this.#clear();
    socket?.close(1000);
  }

  #join() {
    const { name, room, key } = this.#target;
    this.#joining = true;
    this.#after('patience', PATIENCE, () => this.#lost('The chat does not answer.'));
    this.#put({ action: 'join', name, room, key });
  }

  #put(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(data) {
    this.#cancel('pulse-answer');
    let event = null;
    try { event = JSON.parse(data); } catch { /* said below */ }
    if (typeof event?.type !== 'string') {
      // The gateway's own words, such as {"message": "Internal server error", …}: the backend is not there.
      this.trouble('The chat server has a problem.');
      return;
    }
    if (event.type === 'rejoin') {
      if (!this.#joining && this.state.kind !== 'waiting') this.#join();
      return;
    }
    if (event.type === 'joined') {
      this.#joining = false;
      this.#cancel('patience');
    }
    this.#hear(event);
    if (event.type === 'joined' && this.#target && this.state.kind !== 'open') {
      this.#cancel('retry');
      this.#after('steady', STEADY, () => { this.#failures = 0; });
      this.#after('pulse', PULSE, () => this.#checkPulse());
      this.#become({ kind: 'open' });
    }
  }

  #checkPulse() {
    if (this.state.kind !== 'open') return;
    this.#put({ action: 'here' });
    this.#after('pulse-answer', PATIENCE, () => this.#lost('The connection was lost.'));
    this.#after('pulse', PULSE, () => this.#checkPulse());
  }

  #become(state) {
    this.state = state;
    this.#show(state);
  }

  #after(name, ms, act) {
    this.#cancel(name);
    this.#timers.set(name, setTimeout(act, ms));
  }

  #cancel(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #clear() {
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
  }
}
