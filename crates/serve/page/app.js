// The page: one form, one or two searches that grow while they run, and the trees of before.

import * as record from './record.js';
import * as server from './server.js';
import { Sheet } from './settings.js';
import * as shelf from './shelf.js';
import { Tree, describe, make } from './tree.js';

const $ = id => document.getElementById(id);
const IDEAS = [
  'A farmer has 17 sheep. All but 9 run away. How many are left?',
  'Anna has 3 boxes with 12 pens each and gives away 7 pens. How many pens has she left?',
  'Name three reasons why the days are longer in summer than in winter.',
];
const state = { models: [], strategies: [], comparing: false, panes: [], running: null };
const sheets = [new Sheet($('of-first'), changes), new Sheet($('of-second'), changes)];

/** One search on the page: its answer, what it cost, its tree and the panel that explains it. */
class Pane {
  constructor(search) {
    this.search = search;
    this.title = make('h2');
    this.sub = make('p', 'quiet');
    this.progress = make('p', 'small progress');
    this.answer = make('div', 'answer');
    this.answer.dir = 'auto';
    this.costs = make('dl', 'costs');
    this.save = make('button', 'plain', 'Download');
    this.save.type = 'button';
    this.save.addEventListener('click', () => download(this.search));
    this.close = make('button', 'plain', 'Close');
    this.close.type = 'button';
    this.close.addEventListener('click', () => show(state.panes.filter(pane => pane !== this)));
    this.board = make('div', 'board');
    this.panel = make('aside', 'panel');
    this.element = make('section', 'pane', make('header', '', this.title, this.sub, make('div', 'acts', this.save, this.close)),
      this.answer, this.costs, this.progress, this.board, this.panel);
    this.tree = new Tree(this.board, {
      onSelect: () => this.explain(),
      onEnter: byKey => { this.panel.classList.add('wanted'); if (byKey) this.panel.focus(); },
      onEscape: () => this.leave(),
    });
    this.panel.tabIndex = -1;
    this.panel.setAttribute('aria-label', 'Details');
    this.panel.addEventListener('keydown', event => {
      if (event.key === 'Escape') { event.preventDefault(); this.back(); }
    });
  }

  /** From the panel back to the node; from the node back to the whole. */
  back() {
    const id = this.tree.selected;
    this.panel.classList.remove('wanted');
    if (id !== null) this.tree.select(id, { focus: true });
  }

  leave() {
    const open = this.panel.classList.contains('wanted');
    this.panel.classList.remove('wanted');
    if (!open) this.tree.select(null);
  }

  render() {
    const { search } = this, asked = record.question(search);
    this.title.textContent = search.name || 'Search';
    this.sub.textContent = [search.model, asked].filter(Boolean).join(' · ');
    this.sub.title = asked;
    this.element.setAttribute('aria-label', `${search.name}: ${asked}`);
    this.answer.textContent = search.answer.trim() || (this.running ? '…' : search.stopped ? '(no answer)' : '');
    this.answer.classList.toggle('waiting', !search.answer);
    fillCosts(this.costs, search.cost, this.seconds());
    this.progress.textContent = this.words();
    this.close.disabled = Boolean(this.running);
    this.save.disabled = this.close.disabled || search.chosen === null;
    this.board.hidden = search.nodes.length === 0;
    this.panel.hidden = search.nodes.length === 0;
    this.tree.show(search);
    this.explain();
  }

  /** At most once a frame, however fast the events come. */
  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.render();
      versus();
    });
  }

  seconds() {
    return this.running && this.begun ? (performance.now() - this.begun) / 1000 : this.search.cost?.seconds;
  }

  words() {
    if (this.queued) return 'waits for the other to end, so that their times can be compared';
    const { rounds, nodes, stopped } = this.search, last = rounds?.at(-1);
    const pruned = nodes.filter(record.isPruned).length;
    const tree = nodes.length > 2 ? `${nodes.length - 1} steps drawn, ${pruned} of them dropped` : '';
    const state = this.running ? (last ? `round ${rounds.length} done` : 'running') : this.halted ? 'stopped by you' : stopped && stopped !== 'done' ? `ended early: ${plain(stopped)}` : '';
    return [state, tree].filter(Boolean).join(' · ');
  }

  explain() {
    const { search, tree } = this;
    const key = `${tree.selected}|${search.nodes.length}|${search.rounds?.length}|${search.stopped}|${JSON.stringify(search.nodes.find(node => node.id === tree.selected) ?? '')}`;
    if (key === this.explained || (this.running && tree.selected === null && this.panel.contains(document.activeElement))) return;
    this.explained = key;
    const parts = describe(search, record.shape(search), tree.selected, id => { this.tree.select(id, { focus: true }); });
    this.panel.classList.toggle('node-open', tree.selected !== null);
    if (tree.selected !== null) {
      const close = make('button', 'plain shut', '×');
      close.type = 'button';
      close.setAttribute('aria-label', 'Close the details');
      close.addEventListener('click', () => { this.panel.classList.remove('wanted'); this.tree.select(null); });
      parts.unshift(close);
    }
    this.panel.replaceChildren(...parts);
    this.panel.scrollTop = 0;
  }

  /** Runs one request to its end; everything that goes wrong is shown, and the tree so far stays. */
  async run(body, signal) {
    this.queued = false;
    this.running = true;
    this.begun = performance.now();
    const clock = setInterval(() => { fillCosts(this.costs, this.search.cost, this.seconds()); versus(); }, 200);
    let usage = null, whole = false;
    try {
      await server.ask(body, signal, chunk => {
        if (chunk.search) {
          const wrong = record.fault(chunk.search);
          if (wrong) throw new server.Refusal(`The server sent a damaged tree: ${wrong}.`);
          Object.assign(this.search, chunk.search);
          whole = true;
        } else if (chunk.search_event) {
          if (record.apply(this.search, chunk.search_event) === 'round') announce(`${this.search.name}: round ${this.search.rounds.length}, ${this.search.nodes.length - 1} steps so far`);
        }
        if (!whole) this.search.answer += chunk.choices?.[0]?.delta?.content ?? '';
        usage = chunk.usage ?? usage;
        this.later();
      });
      if (!whole) {
        record.single(this.search);
        this.search.cost ??= { calls: 1, prefill: usage?.prompt_tokens, decode: usage?.completion_tokens, seconds: this.seconds() };
        this.search.stopped = 'done';
      }
      this.running = false;
      announce(`${this.search.name} has answered: ${this.search.answer.slice(0, 300)}`);
      keep(this.search);
    } catch (error) {
      if (error.name === 'AbortError') {
        this.halted = true;
        announce('Stopped.');
      } else {
        throw error;
      }
    } finally {
      clearInterval(clock);
      this.running = false;
      this.render();
      versus();
    }
  }
}

const plain = value => typeof value === 'string' ? value.replaceAll('_', ' ') : JSON.stringify(value);
const announce = text => { $('status').textContent = text; };

/** What a search has cost, as [name, value, explanation]. */
function costs(cost, seconds) {
  if (!cost && seconds === undefined) return [];
  return [
    ['tokens drawn', record.count(cost?.decode), 'tokens that the model has drawn'],
    ['calls', record.count(cost?.calls), 'requests to the model'],
    ['seconds', record.number(seconds, 1) || '–', 'by the clock'],
    ['FLOP', record.prefixed(cost?.flops), '2 · parameters · (read + drawn)'],
    ['tokens read', record.count(cost?.prefill), 'tokens of prompts that went through the model'],
    ['reused', record.count(cost?.cached), 'tokens of prompts that were remembered'],
    ['FLOP (paper)', record.prefixed(cost?.flops_paper), '6 · parameters · drawn'],
  ].filter(([, value]) => value !== '–');
}

function fillCosts(list, cost, seconds) {
  list.replaceChildren(...costs(cost, seconds).map(([name, value, what]) => {
    const pair = make('div', '', make('dt', '', name), make('dd', '', value));
    pair.title = what;
    return pair;
  }));
}

/** Answers and costs beside each other, when two searches are shown. */
function versus() {
  const { panes } = state, host = $('versus');
  host.hidden = panes.length !== 2;
  $('panes').classList.toggle('two', panes.length === 2);
  if (panes.length !== 2) { host.replaceChildren(); return; }
  const row = (name, cells, what, kind = '') => {
    const head = make('th', '', name);
    head.scope = 'row';
    if (what) head.title = what;
    return make('tr', kind, head, ...cells.map(cell => {
      const place = make('td', '', make('div', '', cell));
      place.firstChild.dir = 'auto';
      return place;
    }));
  };
  const both = panes.map(pane => new Map(costs(pane.search.cost, pane.seconds()).map(([name, value, what]) => [name, { value, what }])));
  const names = [...new Set(both.flatMap(costs => [...costs.keys()]))];
  const top = make('tr', '', make('td'), ...panes.map(pane => { const head = make('th', '', pane.search.name); head.scope = 'col'; return head; }));
  host.replaceChildren(make('table', '', top,
    row('answer', panes.map(pane => pane.search.answer.trim() || '…'), '', 'answers'),
    ...names.map(name => row(name, both.map(costs => costs.get(name)?.value ?? '–'), both[0].get(name)?.what ?? both[1].get(name)?.what))));
}

/** Puts searches on the page, in the place of those that were there. */
function show(panes) {
  state.panes = panes;
  $('panes').replaceChildren(...panes.map(pane => pane.element));
  $('start').hidden = panes.length > 0;
  for (const pane of panes) pane.render();
  versus();
}

function notice(message, hint) {
  $('notice').replaceChildren(...(message ? [make('p', 'notice', make('b', '', message), hint ? ` ${hint}` : '')] : []));
}

/** Shows what went wrong in plain words; a missing token asks for it. */
function complain(error) {
  if (!(error instanceof server.Refusal) && !(error instanceof record.Fault)) console.error(error);
  $('token').hidden = error.status !== 401;
  if (error.status === 401) {
    notice(server.token() ? 'The server does not know this token.' : '');
    $('secret').focus();
  } else {
    notice(error.message || String(error));
  }
}

async function prepare() {
  try {
    [state.models, state.strategies] = await Promise.all([server.models(), server.strategies()]);
  } catch (error) {
    complain(error);
    $('go').disabled = true;
    return;
  }
  $('token').hidden = true;
  $('go').disabled = false;
  notice('');
  if (state.models.length === 0) notice('The server has no model to ask.');
  const options = names => names.map(name => new Option(name, name));
  $('model').replaceChildren(...options(state.models));
  const names = state.strategies.map(({ name }) => name);
  for (const id of ['first', 'second']) $(id).replaceChildren(...options(names));
  if (names.includes('phi')) $('first').value = 'phi';
  $('second').value = names.find(name => name.startsWith('self-consistency')) ?? names.find(name => name !== $('first').value) ?? names[0];
  choose();
}

const chosen = id => state.strategies.find(({ name }) => name === $(id).value);

function choose() {
  const picked = [chosen('first'), ...(state.comparing ? [chosen('second')] : [])];
  $('what').textContent = picked.map(strategy => strategy?.what ? (state.comparing ? `${strategy.name}: ${strategy.what}` : strategy.what) : '').filter(Boolean).join(' · ');
  sheets[0].show(chosen('first'), state.strategies);
  sheets[1].show(chosen('second'), state.strategies);
  $('of-second').hidden = $('beside').hidden = !state.comparing;
  $('compare').setAttribute('aria-pressed', state.comparing);
  changes();
}

function changes() {
  const number = sheets[0].changes() + (state.comparing ? sheets[1].changes() : 0);
  $('changed').textContent = number ? ` (${number} changed)` : '';
  $('many').hidden = $('boundary').value !== 'tokens';
  $('matching').hidden = $('boundary').value !== 'pattern';
}

/** What both strategies are asked alike. */
function body(question) {
  const whole = id => $(id).value.trim() === '' ? undefined : Number($(id).value);
  const boundary = { '': undefined, newline: 'newline', sentence: 'sentence', tokens: `tokens:${whole('step_tokens') ?? 32}`, pattern: `regex:${$('pattern').value}` }[$('boundary').value];
  return {
    model: $('model').value, messages: [{ role: 'user', content: question }], stream: true, search: true,
    stream_options: { include_usage: true }, max_tokens: whole('max_tokens') ?? 256, seed: whole('seed') ?? 0, budget: whole('budget'), boundary,
  };
}

async function ask() {
  const question = $('question').value.trim();
  if (!question) { $('question').focus(); return; }
  if (state.running || $('go').disabled) return;
  if (!$('ask').reportValidity()) return;
  notice('');
  const running = state.running = new AbortController(), common = body(question), before = state.panes;
  const wanted = sheets.slice(0, state.comparing ? 2 : 1).map(sheet => ({ name: sheet.strategy.name, strategy: sheet.value() }));
  const panes = wanted.map(({ name }) => new Pane(record.begin(question, name, common.model)));
  for (const pane of panes) pane.queued = pane.running = true;
  panes[0].queued = false;
  $('go').hidden = true;
  $('stop').hidden = false;
  $('stop').focus();
  show(panes);
  if ($('panes').getBoundingClientRect().top > innerHeight * .55) $('panes').scrollIntoView();
  announce('The search has begun.');
  try {
    // One after the other: two at once would share the processor, and neither time would be true.
    for (const [index, pane] of panes.entries()) {
      if (running.signal.aborted) break;
      await pane.run({ ...common, strategy: wanted[index].strategy }, running.signal);
    }
  } catch (error) {
    complain(error);
    const begun = panes.filter(pane => pane.search.nodes.length > 0 || pane.search.answer);
    show(begun.length ? begun : before);
  } finally {
    state.running = null;
    for (const pane of panes) {
      if (pane.queued) pane.halted = true;
      pane.queued = pane.running = false;
      pane.render();
    }
    versus();
    $('go').hidden = false;
    const held = document.activeElement === $('stop');
    $('stop').hidden = true;
    if (held) $('go').focus();
  }
}

// Past trees and files.

function keep(search) {
  const trouble = shelf.put(search, { question: record.question(search), name: search.name, model: search.model, tokens: search.cost?.decode ?? null });
  if (trouble) notice(trouble);
  past();
}

function past() {
  const lines = shelf.list();
  $('past').hidden = lines.length === 0;
  $('count').textContent = lines.length ? `(${lines.length})` : '';
  $('shelf').replaceChildren(...lines.map(line => {
    const button = (name, act, words) => {
      const element = make('button', 'plain', name);
      element.type = 'button';
      element.setAttribute('aria-label', `${name}: ${line.name}, ${line.question}`);
      element.title = words ?? '';
      element.addEventListener('click', act);
      return element;
    };
    const load = use => () => {
      try {
        const text = shelf.get(line.id);
        if (text === null) throw new record.Fault('This tree is not kept any more.');
        use(record.read(text, 'the kept tree'));
        notice('');
      } catch (error) {
        complain(error);
      }
    };
    const name = make('span', 'asked', line.question || '(no question)');
    name.dir = 'auto';
    const when = new Date(line.when);
    return make('li', '', name, make('span', 'quiet', [line.name, line.model, Number.isFinite(line.tokens) ? `${record.count(line.tokens)} tokens` : '', Number.isNaN(when.valueOf()) ? '' : when.toLocaleString()].filter(Boolean).join(' · ')),
      make('span', 'acts', button('Open', load(search => open([search]))), button('Beside', load(search => open([search], true)), 'beside the tree that is open'),
        button('Download', load(download)), button('Forget', () => { shelf.forget(line.id); past(); })));
  }));
}

/** Shows records that are whole: alone, or beside the one that is open. */
function open(searches, beside = false) {
  if (state.running) { notice('A search is running; stop it first.'); return; }
  const panes = searches.slice(0, 2).map(search => new Pane(search));
  show(beside && state.panes.length > 0 ? [state.panes[0], panes[0]] : panes);
  if (!$('question').value) $('question').value = record.question(searches[0]);
  $('panes').scrollIntoView({ block: 'nearest' });
}

function download(search) {
  const link = document.createElement('a'), name = `${search.name || 'search'}-${record.question(search)}`.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 60);
  link.href = URL.createObjectURL(new Blob([JSON.stringify(search, null, 1)], { type: 'application/json' }));
  link.download = `${name || 'search'}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function openFiles(files) {
  const searches = [];
  try {
    for (const file of [...files].slice(0, 2)) {
      if (file.size > 100_000_000) throw new record.Fault(`${file.name} is larger than 100 MB`);
      searches.push(record.read(await file.text(), file.name));
    }
    if (searches.length === 0) return;
    notice('');
    open(searches);
  } catch (error) {
    complain(error instanceof record.Fault ? error : new record.Fault(`The file could not be read: ${error.message}`));
  }
}

// Wiring.

$('ask').addEventListener('submit', event => { event.preventDefault(); ask(); });
$('question').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(); }
});
$('stop').addEventListener('click', () => state.running?.abort());
$('compare').addEventListener('click', () => { state.comparing = !state.comparing; choose(); });
$('more').addEventListener('click', () => {
  $('settings').hidden = !$('settings').hidden;
  $('more').setAttribute('aria-expanded', !$('settings').hidden);
});
for (const id of ['first', 'second']) $(id).addEventListener('change', choose);
$('boundary').addEventListener('change', changes);
$('unlock').addEventListener('click', () => { server.token($('secret').value.trim()); $('secret').value = ''; prepare(); });
$('secret').addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); $('unlock').click(); } });
$('file').addEventListener('change', event => { openFiles(event.target.files); event.target.value = ''; });
$('clear').addEventListener('click', () => { shelf.forget(); past(); });
addEventListener('dragover', event => { if (event.dataTransfer?.types.includes('Files')) { event.preventDefault(); document.body.classList.add('dropping'); } });
addEventListener('dragleave', event => { if (!event.relatedTarget) document.body.classList.remove('dropping'); });
addEventListener('drop', event => {
  document.body.classList.remove('dropping');
  if (event.dataTransfer?.files.length) { event.preventDefault(); openFiles(event.dataTransfer.files); }
});
$('ideas').append(...IDEAS.map(idea => {
  const button = make('button', 'idea', idea);
  button.type = 'button';
  button.addEventListener('click', () => { $('question').value = idea; ask(); });
  return button;
}));
past();
prepare();
