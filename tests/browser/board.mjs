// The board's pages in a real browser: every kind of page, light and dark, on a desk and on a phone, and by keyboard alone.
//
//     npm ci && node board.mjs PATH-TO-BUDWOOD [FOLDER-FOR-SCREENSHOTS]
//
// needs Chromium (CHROMIUM names it, by default /usr/bin/chromium). It makes a small board of its own and serves it on loopback.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const budwood = resolve(process.argv[2]);
const shots = process.argv[3] && resolve(process.argv[3]);
const place = mkdtempSync(join(tmpdir(), 'budwood-browser-'));
const run = (...args) => execFileSync(budwood, args, { cwd: place, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let passed = 0;
const failures = [];
const check = (what, good, more = '') => {
  if (good) passed += 1;
  else failures.push(`${what} ${more}`);
};

// A picture of 16 x 16 pixels, bright above or below.
const picture = (above, n) => {
  const side = 16, bytes = Buffer.alloc(54 + 3 * side * side);
  bytes.write('BM');
  [bytes.length, 0, 54, 40, side, side, 1 | (24 << 16)].forEach((x, i) => bytes.writeUInt32LE(x, 2 + 4 * i));
  for (let i = 0; i < side * side; i++) {
    const bright = (i < (side * side) / 2) !== above;
    bytes.fill((bright ? 200 : 20) + ((i * 7 + n * 29) % 23), 54 + 3 * i, 57 + 3 * i);
  }
  return bytes;
};

const tables = [{
  task: 'Image Classification', description: 'Which *class* does an image show?', categories: ['Computer Vision'],
  datasets: [{
    dataset: 'Leaves', description: 'Leaves of trees.', sota: {
      metrics: ['Error', 'Top 5'],
      rows: [...Array(14).keys()].map(i => ({
        model_name: `Model ${i} <b>of many</b>`, metrics: { Error: (9 - i / 3).toFixed(2), 'Top 5': `${80 + i}%` },
        paper_title: `The ${i}th paper on leaves`, paper_url: `https://arxiv.org/abs/${1501 + 100 * (i % 8)}.0${1000 + i}`,
        code_links: i % 3 ? [] : [{ title: 'Code', url: 'https://github.com/owner/leaves' }], uses_additional_data: i % 4 === 0,
      })),
    },
  }],
  subtasks: [{ task: 'Fine-Grained Classification', datasets: [] }],
}];

const prepare = () => {
  for (const [kind, above] of [['above', true], ['below', false]]) {
    for (const [part, first, n] of [['train', 0, 30], ['val', 30, 10], ['test', 40, 20]]) {
      mkdirSync(join(place, 'data', part, kind), { recursive: true });
      for (let i = first; i < first + n; i++) writeFileSync(join(place, 'data', part, kind, `${i}.bmp`), picture(above, i));
    }
  }
  run('models', 'new', '--hidden', '32', '--layers', '2', '--heads', '2', '--image-size', '16', '--patch', '8', '--out', 'vit');
  const flags = ['train', '--base', 'vit', '--data', 'data', '--test', '--epochs', '60', '--lr', '3e-3', '--store', 'runs.db', '--batch-size', '12', '--name', 'halves'];
  run(...flags, '--method', 'full', '--out', 'a');
  run(...flags, '--method', 'adapter[width=4]', '--out', 'b');
  writeFileSync(join(place, 'evaluation-tables.json'), JSON.stringify(tables));
  run('board', '--board', 'board', 'init', '--store', 'runs.db');
  run('board', '--board', 'board', 'import', 'evaluation-tables.json');
  run('verify', '--queue', '--board', 'board');
  return JSON.parse(run('board', '--board', 'board', 'export', '--format', 'json')).find(r => r.state === 're-evaluated');
};

const serve = () => new Promise((done, fail) => {
  const server = spawn(budwood, ['board', '--board', 'board', '--port', '0', '--json'], { cwd: place });
  let text = '';
  server.stdout.on('data', piece => {
    text += piece;
    if (text.trim().endsWith('}')) done([server, JSON.parse(text).url.replace(/\/$/, '')]);
  });
  server.once('exit', code => fail(new Error(`the server ended with ${code}`)));
});

const main = async () => {
  const row = prepare();
  check('a row was run again', row !== undefined);
  const [server, base] = await serve();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  try {
    const leaves = '/sota/image-classification-on-leaves';
    const pages = {
      start: '/', tasks: '/tasks', task: '/task/image-classification', area: '/area/computer-vision', leaderboard: `${leaves}?rank=claims`,
      measured: `/sota/${row.leaderboard}`, result: `/result/${row.result}`, datasets: '/datasets', dataset: '/dataset/leaves', papers: '/papers',
      paper: '/paper/parameter-efficient-transfer-learning-for-nlp', methods: '/methods', method: '/method/adapter', search: '/search?q=leaves',
      submit: '/submit', about: '/about', log: '/log', missing: '/nowhere',
    };
    for (const colorScheme of ['light', 'dark']) {
      for (const [device, width, height] of [['desk', 1280, 900], ['phone', 390, 844]]) {
        const context = await browser.newContext({ colorScheme, viewport: { width, height }, bypassCSP: false });
        for (const [name, path] of Object.entries(pages)) {
          const what = `${name}, ${colorScheme}, ${device}:`;
          const page = await context.newPage();
          const said = [];
          page.on('console', m => { if (m.type() === 'error' && name !== 'missing') said.push(m.text()); });
          page.on('pageerror', e => said.push(e.message));
          const answer = await page.goto(base + path);
          check(`${what} answers`, answer.status() === (name === 'missing' ? 404 : 200), answer.status());
          check(`${what} title`, (await page.title()).length > 3);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          check(`${what} fits the width`, over <= 0, `by ${over} pixels`);
          if (shots && ['start', 'leaderboard', 'result'].includes(name) && (device === 'desk') === (colorScheme === 'light')) {
            await page.screenshot({ path: join(shots, `${name}-${device}.png`) });
          }
          check(`${what} console`, said.length === 0, said.join('; '));
          // The checker comes through the debugger, which the pages' policy does not bind.
          const faults = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
          const bad = faults.violations.filter(v => ['serious', 'critical'].includes(v.impact));
          check(`${what} axe`, bad.length === 0, bad.map(v => `${v.id} at ${v.nodes[0].target}`).join('; '));
          await page.close();
        }
        await context.close();
      }
    }

    // By keyboard alone: past the navigation, sorted by another column, filtered.
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const focus = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
    await page.goto(base + pages.leaderboard);
    await page.keyboard.press('Tab');
    check('keyboard: the first stop skips to the content', /skip/i.test(await focus()), await focus());
    await page.keyboard.press('Enter');
    const until = async test => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        if (await page.evaluate(test)) return true;
      }
      return false;
    };
    check('keyboard: a column head is reached', await until(() => !!document.activeElement?.closest('th')));
    const before = await page.locator('tbody tr').first().textContent();
    await page.keyboard.press('Enter');
    await page.waitForTimeout(500);
    check('keyboard: it sorts', (await page.locator('tbody tr').first().textContent()) !== before);
    check('keyboard: the order is said', (await page.locator('th[aria-sort]').count()) > 0);
    await page.goto(base + pages.leaderboard);
    check('keyboard: the filter is reached', await until(() => document.activeElement?.tagName === 'INPUT' && !!document.activeElement.closest('main')));
    await page.keyboard.type('Model 13');
    await page.keyboard.press('Enter');
    await page.waitForTimeout(500);
    check('keyboard: it filters', (await page.locator('tbody tr:visible').count()) === 1, await page.locator('tbody tr:visible').count());
    await page.goto(base + '/');
    check('keyboard: search is reached', await until(() => document.activeElement?.getAttribute('name') === 'q'));
    await page.keyboard.type('leaves');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=leaves/);
    check('keyboard: it searches', /q=leaves/.test(page.url()) && /Leaves/.test(await page.textContent('main')));
    await page.close();

    // Without scripts all of it works too.
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const still = await plain.newPage();
    await still.goto(base + pages.leaderboard);
    check('without scripts: the table is there', (await still.locator('tbody tr').count()) >= 14);
    await still.locator('thead th a').nth(1).click();
    check('without scripts: it sorts', /sort=|order=|metric=/.test(still.url()), still.url());
    await plain.close();

    // A reader tries the adapter: this one reads images, and says so.
    const trial = await browser.newPage();
    await trial.goto(base + pages.result);
    await trial.fill('textarea[name=text]', 'a text');
    await trial.getByRole('button', { name: 'Predict' }).click();
    await trial.waitForURL(/try/);
    check('the box to try says what does not fit', /image/i.test(await trial.textContent('main')), await trial.textContent('main'));
    await trial.close();

    // What people wrote is text.
    const hostile = await browser.newPage();
    await hostile.goto(base + pages.leaderboard);
    check('markup in a name is text', (await hostile.locator('tbody b').count()) === 0);
    await hostile.close();
  } finally {
    await browser.close();
    server.removeAllListeners('exit');
    server.kill();
  }
};

try {
  await main();
} finally {
  rmSync(place, { recursive: true, force: true });
}
failures.forEach(f => console.log(`failed: ${f}`));
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
