// Two windows of a headless Chromium use the chat example as two people would.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { PAGE, GATEWAY, CHROMIUM = '/usr/bin/chromium' } = process.env;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  headless: true,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server',
  ],
});

const at = (page, name) => page.getByTestId(name);

/** Waits until `fact` holds in the page, and says what did not. */
async function until(what, fact) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    if (await fact().catch(() => false)) return;
    if (Date.now() > deadline) assert.fail(`not within 15 s: ${what}`);
    await new Promise((again) => setTimeout(again, 25));
  }
}

const texts = async (page, name) => (await at(page, name).allTextContents()).map((text) => text.trim());
const shows = (page, name, text) => until(
  `${name} shows ${JSON.stringify(text)}`, async () => (await texts(page, name)).some((shown) => shown.includes(text)),
);
const counts = (page, number) => until(
  `${number} people are here`, async () => (await texts(page, 'member-count'))[0] === String(number),
);

/** A window of its own, as another person has it. */
async function join(name, room) {
  const page = await (await browser.newContext()).newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(`${error}`));
  await page.goto(PAGE);
  await at(page, 'name-field').fill(name);
  await at(page, 'room-field').fill(room);
  await at(page, 'join-button').click();
  await until(`${name} is connected`, async () => (await at(page, 'connection-status').getAttribute('data-state')) === 'open');
  return { page, errors };
}

async function say(page, text) {
  await at(page, 'message-field').fill(text);
  await at(page, 'send-button').click();
}

try {
  const ada = await join('Ada', 'lounge');
  await counts(ada.page, 1);
  const bob = await join('Bob', 'lounge');
  await counts(ada.page, 2);
  await counts(bob.page, 2);
  await shows(ada.page, 'member', 'Bob');
  await shows(bob.page, 'member', 'Ada');
  await shows(ada.page, 'note', 'Bob');

  await say(ada.page, 'hello Bob');
  await shows(bob.page, 'message-text', 'hello Bob');
  await shows(ada.page, 'message-text', 'hello Bob');
  await say(bob.page, 'hello Ada, ünïcode \u{1F600}');
  await shows(ada.page, 'message-text', 'hello Ada, ünïcode \u{1F600}');
  await until('nothing waits to be sent', async () => (await at(ada.page, 'pending-message').count()) === 0);

  // What people write is text, never a part of the page.
  await say(bob.page, '<img src=x onerror="document.title=\'broken in\'"><b>bold</b>');
  await shows(ada.page, 'message-text', '<b>bold</b>');
  assert.notEqual(await ada.page.title(), 'broken in');

  await at(ada.page, 'message-field').pressSequentially('thinking');
  await shows(bob.page, 'typing-line', 'Ada');

  // Another room hears none of it.
  const eve = await join('Eve', 'elsewhere');
  await counts(eve.page, 1);
  await say(ada.page, 'only for the lounge');
  await shows(bob.page, 'message-text', 'only for the lounge');
  await say(eve.page, 'mark');
  await shows(eve.page, 'message-text', 'mark');
  assert.deepEqual(await texts(eve.page, 'message-text'), ['mark']);

  // A reload keeps name, room and what was said.
  await bob.page.reload();
  await shows(bob.page, 'message-text', 'hello Bob');
  await counts(bob.page, 2);
  await say(bob.page, 'back again');
  await shows(ada.page, 'message-text', 'back again');

  // A window that is closed leaves the room.
  await bob.page.context().close();
  await counts(ada.page, 1);

  // The gateway stops: the page says so, and that it tries again.
  const banner = at(ada.page, 'reconnect-banner');
  assert.equal(await banner.isVisible(), false);
  process.kill(Number(GATEWAY), 'SIGTERM');
  await until('the banner is there', async () => banner.isVisible());
  await shows(ada.page, 'reconnect-countdown', 'Reconnecting');
  await until('the status is no longer open', async () => ['waiting', 'connecting'].includes(
    await at(ada.page, 'connection-status').getAttribute('data-state'),
  ));
  for (const { errors } of [ada, bob, eve]) assert.deepEqual(errors, []);
  console.log('ok');
} finally {
  await browser.close();
}
