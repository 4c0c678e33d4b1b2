import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { leave, type Phone, signIn } from './src/browser.ts';
import { ChatTerminal } from './src/chat-terminal.ts';
import { lacking, SPEECH } from './src/peers.ts';
import type { Stage } from './src/stage.ts';
import { System, waitUntil } from './src/system.ts';
import { openTwoBrowsers } from './src/two-browsers.ts';

const skip = lacking(...SPEECH, 'chromium');

let stage: Stage;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  ({ stage, alice, bob } = await openTwoBrowsers());
});

after(() => stage?.close());

/** Opens the conversation with that person. */
async function open(phone: Phone, peer: string): Promise<void> {
  await phone.page.getByTestId(`text-${peer}`).click();
  await phone.page.getByTestId('composer').waitFor();
}

async function write(phone: Phone, text: string): Promise<void> {
  await phone.page.getByTestId('composer').fill(text);
  await phone.page.getByTestId('composer').press('Enter');
}

/** The texts of the open conversation with their states, oldest first. */
async function conversation(phone: Phone): Promise<string[]> {
  return phone.page
    .getByTestId('text')
    .evaluateAll((rows) =>
      rows.map((row) => `${(row as HTMLElement).dataset.state} ${row.querySelector('p')?.textContent}`),
    );
}

async function waitForConversation(phone: Phone, expected: readonly string[]): Promise<void> {
  let now: string[] = [];
  await waitUntil(
    `the conversation is ${JSON.stringify(expected)}`,
    async () => {
      now = await conversation(phone);
      return JSON.stringify(now) === JSON.stringify(expected);
    },
    20_000,
    () => JSON.stringify(now),
  );
}

function waitForStatus(phone: Phone, user: string, status: string): Promise<void> {
  return phone.page.locator(`[data-testid=person-${user}][data-status=${status}]`).waitFor();
}

/** Everything the page keeps in this browser is gone, as with a new profile. */
async function forgetBrowser(...phones: readonly Phone[]): Promise<void> {
  for (const { page } of phones)
    await page.evaluate(() => {
      localStorage.clear();
      sessionStorage.clear();
    });
}

test('two browsers write to each other; unread texts are counted until they are looked at', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await open(alice, 'bob');
  const first = 'Hello Bob 👋, see https://example.org/a?b=1.\n<b>not bold</b> ✓';
  await write(alice, first);
  await write(alice, 'and one more');
  await waitForConversation(alice, [`delivered ${first}`, 'delivered and one more']);
  await waitUntil('bob has two unread texts', async () => (await bob.page.title()).startsWith('(2) '));
  assert.equal(await bob.page.getByTestId('unread-alice').textContent(), '2');
  await bob.page.getByTestId('arrival').filter({ hasText: 'and one more' }).waitFor();
  await open(bob, 'alice');
  await waitForConversation(bob, [`received ${first}`, 'received and one more']);
  const link = bob.page.getByTestId('text').getByRole('link');
  assert.deepEqual(
    [await link.textContent(), await link.getAttribute('href'), await link.getAttribute('rel')],
    ['https://example.org/a?b=1', 'https://example.org/a?b=1', 'noopener noreferrer'],
  );
  await waitUntil('nothing is unread', async () => (await bob.page.title()) === 'Offhook');
  await bob.page.getByTestId('composer').fill('   ');
  await bob.page.getByTestId('composer').press('Enter');
  await write(bob, 'Hello Alice');
  await waitForConversation(alice, [`delivered ${first}`, 'delivered and one more', 'received Hello Alice']);
  await bob.page.reload();
  await open(bob, 'alice');
  await waitForConversation(bob, [`received ${first}`, 'received and one more', 'delivered Hello Alice']);
  assert.deepEqual([...alice.errors, ...bob.errors], []);
  await forgetBrowser(alice, bob);
  await leave(alice, bob);
});

test('a text to somebody who is away is kept, delivered later, and its sender told', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  await waitForStatus(alice, 'bob', 'offline');
  await open(alice, 'bob');
  await write(alice, 'first');
  await write(alice, 'second');
  await waitForConversation(alice, ['stored first', 'stored second']);
  await signIn(bob, await system.loginLink('bob'));
  await open(bob, 'alice');
  await waitForConversation(bob, ['received first', 'received second']);
  await waitForConversation(alice, ['delivered first', 'delivered second']);
  await forgetBrowser(alice, bob);
  await leave(alice, bob);
});

test('news of a kept text reach a page that was closed meanwhile', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  await open(alice, 'bob');
  await write(alice, 'are you there?');
  await waitForConversation(alice, ['stored are you there?']);
  const page = alice.page.url();
  // The news of its keeping mark where to go on.
  await waitUntil('the news are kept', () =>
    alice.page.evaluate(() => Object.keys(localStorage).some((key) => key.startsWith('offhook.texts-news.'))),
  );
  await leave(alice);
  await signIn(bob, await system.loginLink('bob'));
  await bob.page.getByTestId('unread-alice').waitFor();
  await alice.page.goto(page);
  await open(alice, 'bob');
  await waitForConversation(alice, ['delivered are you there?']);
  await forgetBrowser(alice, bob);
  await leave(alice, bob);
});

test('what is typed while the server is down is sent in order when it is back', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await open(alice, 'bob');
  const gone = alice.page.locator('[data-testid=registration-state]:not([data-state=registered])');
  await system.killPart('signaling');
  await gone.waitFor({ state: 'attached' });
  await write(alice, 'one');
  await write(alice, 'two');
  await waitForConversation(alice, ['delivered one', 'delivered two']);
  await open(bob, 'alice');
  await waitForConversation(bob, ['received one', 'received two']);
  await forgetBrowser(alice, bob);
  await leave(alice, bob);
});

test('a text that nobody can get fails in words and can be sent again', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await system.addUser('carol', 'a long enough password');
  await signIn(alice, await system.loginLink('alice'));
  await open(alice, 'carol');
  await system.verb('signaling', 'users', { op: 'remove', user: 'carol' });
  await write(alice, 'hello?');
  await alice.page.getByTestId('text').filter({ hasText: 'Not delivered:' }).waitFor();
  await waitForConversation(alice, ['failed hello?']);
  await system.addUser('carol', 'a long enough password');
  await alice.page.getByTestId('send-again').click();
  await waitForConversation(alice, ['stored hello?']);
  await forgetBrowser(alice);
  await leave(alice);
});

test('presence: set here, seen there; a call shows; signing out leaves no text behind', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await waitForStatus(alice, 'bob', 'available');
  await bob.page.getByTestId('own-status').selectOption('busy');
  await waitForStatus(alice, 'bob', 'busy');
  await bob.page.getByTestId('settings').click();
  await bob.page.getByTestId('own-note').fill('In a meeting');
  await bob.page.getByTestId('own-note').press('Tab');
  await alice.page.getByTestId('person-bob').filter({ hasText: 'Busy · In a meeting' }).waitFor();
  await bob.page.getByTestId('own-status-setting').selectOption('available');
  await waitForStatus(alice, 'bob', 'available');
  await bob.page.keyboard.press('Escape');
  await bob.page.getByTestId('call-echo').click();
  await waitForStatus(alice, 'bob', 'on-the-phone');
  await bob.page.getByTestId('hangup').click();
  await waitForStatus(alice, 'bob', 'available');
  await open(bob, 'alice');
  await write(bob, 'bye');
  await waitForConversation(bob, ['delivered bye']);
  await bob.page.getByTestId('settings').click();
  await bob.page.getByTestId('sign-out').click();
  await bob.page.getByTestId('signin-user').waitFor();
  assert.deepEqual(await bob.page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('texts'))), []);
  await waitForStatus(alice, 'bob', 'offline');
  await system.assertNothingLeft();
  await forgetBrowser(alice, bob);
  await leave(alice, bob);
});

test('a browser and a terminal write to each other, and each sees whether the other is there', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  const password = 'correct-Horse-7';
  await system.addUser('terry', password);
  await signIn(alice, await system.loginLink('alice'));
  await open(alice, 'terry');
  const stands = (status: string) =>
    alice.page.getByTestId('conversation').locator(`.presence[data-status=${status}]`).waitFor();
  await write(alice, 'are you there?');
  await waitForConversation(alice, ['stored are you there?']);
  const how = { folder: join(stage.folder, 'terry'), password };
  await using terry = new ChatTerminal(how, 'terry', '--config', system.config, '--to', 'alice');
  await terry.says(/alice: are you there\?\n/);
  await terry.says(/alice is available\n/);
  await waitForConversation(alice, ['delivered are you there?']);
  await stands('available');
  terry.type('yes, in a terminal ✓');
  await terry.says(/delivered to alice: yes, in a terminal ✓\n/);
  terry.type('/status busy writing a letter');
  await stands('busy');
  await write(alice, 'see you');
  await terry.says(/alice: see you\n/);
  await waitForConversation(alice, ['delivered are you there?', 'received yes, in a terminal ✓', 'delivered see you']);
  terry.end();
  assert.equal(await terry.ended, 0, terry.output);
  await stands('offline');
  await forgetBrowser(alice);
  await leave(alice);
});
