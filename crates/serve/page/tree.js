// The picture of a search: a column a step, a card a candidate, curves between them.
//
// Cards that were dropped are one thin line, those that went on are two lines with their numbers.
// Everything that a model wrote goes through textContent; places are set through the CSSOM, so that
// the strictest content policy holds.

import { count, fate, isPruned, letter, number, place, shape, told } from './record.js';

const SVG = 'http://www.w3.org/2000/svg';
const GAP = 40, TALL = 58, THIN = 24, SEAM = 4, APART = 14, HEAD = 44, ROOT = 30, EDGE = 14;

/** An element with a class, properties and children. */
export function make(tag, name, ...parts) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...parts.filter(part => part !== null && part !== undefined && part !== ''));
  return element;
}

function draw(tag, attributes, ...parts) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...parts);
  return element;
}

/** The coloured letter of a cluster: never the colour alone. */
export function mark(cluster) {
  const badge = make('b', `mark c${cluster % 6}`, letter(cluster));
  badge.setAttribute('aria-hidden', 'true');
  return badge;
}

/** Dropped, or so fresh that nothing is known of it yet: one line is enough. */
const isThin = node => isPruned(node) || (node.fate === 'open' && !Number.isFinite(node.value));

const shown = node => node.text.trim().replace(/\s*\n\s*/g, ' ⏎ ') || '(nothing)';

export class Tree {
  /** Draws into `host`; `onSelect(id or null)` follows the focus, `onEnter()` asks for the details. */
  constructor(host, { onSelect, onEnter, onEscape }) {
    Object.assign(this, { onSelect, onEnter, onEscape });
    this.cards = new Map();
    this.selected = null;
    this.follow = true;
    this.links = draw('svg', { class: 'links', 'aria-hidden': 'true' });
    this.curves = Object.fromEntries(['off', 'on', 'best', 'walk'].map(kind => [kind, draw('path', { class: kind })]));
    this.links.append(...Object.values(this.curves));
    this.heads = make('div', 'heads');
    this.list = make('div', 'cards');
    this.list.setAttribute('role', 'tree');
    this.list.setAttribute('aria-label', 'The search: a level a step');
    this.canvas = make('div', 'canvas', this.heads, this.links, this.list);
    this.ground = make('div', 'ground', this.canvas);
    this.map = draw('svg', { class: 'map', 'aria-hidden': 'true', preserveAspectRatio: 'none' });
    this.sill = make('p', 'sill');
    host.append(this.map, this.ground, this.sill);
    this.list.addEventListener('focusin', event => this.select(this.idOf(event.target)));
    this.list.addEventListener('mouseover', event => this.say(this.idOf(event.target)));
    this.list.addEventListener('mouseleave', () => this.say(this.selected));
    this.list.addEventListener('click', event => { if (this.idOf(event.target) !== null) this.onEnter(false); });
    this.list.addEventListener('keydown', event => this.key(event));
    for (const kind of ['wheel', 'pointerdown', 'keydown']) this.ground.addEventListener(kind, () => { this.follow = false; }, { passive: true });
    this.ground.addEventListener('scroll', () => this.frameView(), { passive: true });
    this.map.addEventListener('pointerdown', event => this.travel(event));
    this.map.addEventListener('pointermove', event => { if (event.buttons) this.travel(event); });
    this.watch = new ResizeObserver(() => { if (this.search) this.update(); });
    this.watch.observe(this.ground);
  }

  idOf(element) {
    const card = element.closest?.('.node');
    return card ? Number(card.dataset.id) : null;
  }

  /** Shows a record; the same record may be shown again after it grew. */
  show(search) {
    if (this.search !== search) {
      this.search = search;
      for (const card of this.cards.values()) card.remove();
      this.cards.clear();
      this.selected = null;
    }
    this.update();
  }

  /** Draws at the next frame what changed since the last. */
  update() {
    this.waiting ??= requestAnimationFrame(() => { this.waiting = null; this.layout(); });
  }

  layout() {
    const tree = this.tree = shape(this.search), wide = this.ground.clientWidth;
    if (wide === 0) return;
    const steps = Math.max(1, tree.columns.length - 1);
    // Columns grow to fill the width where there is room, up to a comfortable line.
    const column = Math.max(Math.min(214, wide - 60), Math.min(460, (wide - ROOT - 2 * EDGE) / steps - GAP));
    const height = id => tree.depth.get(id) === 0 ? ROOT : isThin(tree.by.get(id)) ? THIN : TALL;
    const packed = tree.columns.map(ids => {
      const groups = [];
      for (const id of ids) {
        const parent = tree.by.get(id).parent, last = groups.at(-1);
        if (last && last.parent === parent) { last.ids.push(id); last.tall += SEAM + height(id); } else groups.push({ parent, ids: [id], tall: height(id) });
      }
      return groups;
    });
    const total = Math.max(TALL, ...packed.map(groups => groups.reduce((sum, group) => sum + group.tall + APART, -APART)));
    const at = new Map();
    packed.forEach((groups, depth) => {
      // Each family stands as near its parent as the families above and below leave room for.
      let floor = 0;
      for (const group of groups) {
        const parent = at.get(group.parent);
        group.top = Math.max(floor, (parent ? parent.y + parent.h / 2 : total / 2) - group.tall / 2);
        floor = group.top + group.tall + APART;
      }
      let roof = total;
      for (const group of groups.toReversed()) {
        group.top = Math.max(0, Math.min(group.top, roof - group.tall));
        roof = group.top - APART;
      }
      for (const group of groups) {
        let y = group.top;
        for (const id of group.ids) {
          at.set(id, { x: EDGE + (depth === 0 ? 0 : ROOT + GAP + (depth - 1) * (column + GAP)), y: HEAD + y, w: depth === 0 ? ROOT : column, h: height(id) });
          y += height(id) + SEAM;
        }
      }
    });
    this.at = at;
    const width = EDGE * 2 + ROOT + steps * (GAP + column), tall = HEAD + total + EDGE;
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${tall}px` });
    this.links.setAttribute('width', width);
    this.links.setAttribute('height', tall);
    this.size = { width, tall, column };
    this.headings();
    this.place();
    this.curve();
    this.chart();
    if (this.follow && !this.search.stopped) this.ground.scrollLeft = this.ground.scrollWidth;
    this.say(this.selected);
  }

  /** Cards stand in the document parents first, so that a reader reads paths; none is ever moved. */
  place() {
    const { tree, at, search } = this;
    let next = this.list.firstChild;
    const best = tree.columns.map(ids => {
      const values = ids.map(id => tree.by.get(id).value).filter(Number.isFinite);
      return { top: Math.max(...values), low: Math.min(0, ...values) };
    });
    for (const id of tree.order) {
      const node = tree.by.get(id), spot = at.get(id), siblings = tree.children.get(node.parent) ?? [id];
      let card = this.cards.get(id);
      if (!card) {
        card = make('div', 'node');
        card.dataset.id = id;
        card.setAttribute('role', 'treeitem');
        card.tabIndex = -1;
        this.cards.set(id, card);
      }
      if (card === next) next = next.nextSibling; else this.list.insertBefore(card, next);
      Object.assign(card.style, { left: `${spot.x}px`, top: `${spot.y}px`, width: `${spot.w}px`, height: `${spot.h}px` });
      card.setAttribute('aria-level', tree.depth.get(id) + 1);
      card.setAttribute('aria-setsize', siblings.length);
      card.setAttribute('aria-posinset', siblings.indexOf(id) + 1);
      card.setAttribute('aria-selected', id === this.selected);
      if (tree.children.get(id).length) card.setAttribute('aria-expanded', 'true');
      const range = best[tree.depth.get(id)], on = tree.path.has(id);
      const share = Number.isFinite(node.value) && range.top > range.low ? (node.value - range.low) / (range.top - range.low) : null;
      const kind = `node${isThin(node) ? ' thin' : ''}${isPruned(node) ? ' off' : ''}${on ? ' best' : ''}${tree.depth.get(id) === 0 ? ' root' : ''}`;
      const told = `${kind}|${node.text}|${node.fate}|${node.value}|${share}|${node.cluster}|${node.logprob}|${node.foresight?.logprob}|${node.visits}|${node.why}`;
      if (card.told !== told) {
        card.told = told;
        this.fill(card, node, share, kind);
      }
    }
    if (!this.list.querySelector('[tabindex="0"]')) {
      const first = this.cards.get(tree.order[0]);
      if (first) first.tabIndex = 0;
    }
  }

  fill(card, node, share, kind) {
    card.className = kind;
    const root = this.tree.depth.get(node.id) === 0;
    const badge = Number.isInteger(node.cluster) ? mark(node.cluster) : null;
    if (root) {
      card.replaceChildren('?');
    } else if (isThin(node)) {
      const end = isPruned(node) ? make('span', 'fate', fate(node)) : make('span', 'figures', Number.isFinite(node.logprob) ? `s ${number(node.logprob)}` : '');
      card.replaceChildren(...[badge, make('span', 'step', shown(node)), end].filter(Boolean));
    } else {
      const bar = make('i', 'bar', make('i'));
      bar.firstChild.style.width = `${Math.round(100 * (share ?? 0))}%`;
      if (share === null) bar.classList.add('none');
      const figures = [[node.logprob, 's'], [node.foresight?.logprob, 'F']].filter(([value]) => Number.isFinite(value)).map(([value, name]) => `${name} ${number(value)}`);
      if (Number.isInteger(node.visits)) figures.push(`${count(node.visits)}×`);
      if (node.finished) figures.push('end');
      const line = make('span', 'line', bar, make('b', '', number(node.value)), make('span', 'figures', figures.join('  ')));
      card.replaceChildren(...[badge, make('span', 'step', shown(node)), line].filter(Boolean));
    }
    card.querySelector('.step')?.setAttribute('dir', 'auto');
    card.setAttribute('aria-label', this.label(node));
    card.title = node.why ?? '';
  }

  /** What a screen reader says. */
  label(node) {
    const parts = [place(this.search, this.tree, node.id)];
    if (this.tree.depth.get(node.id) > 0) {
      parts.push(this.tree.path.has(node.id) ? 'on the chosen path' : fate(node));
      if (Number.isInteger(node.cluster)) parts.push(`cluster ${letter(node.cluster)}`);
      if (Number.isFinite(node.value)) parts.push(`value ${number(node.value)}`);
      if (Number.isFinite(node.logprob)) parts.push(`log-probability ${number(node.logprob)}`);
    }
    return `${parts.join(', ')}: ${shown(node).slice(0, 400)}`;
  }

  headings() {
    const { tree, at, size } = this, heads = [];
    tree.columns.forEach((ids, depth) => {
      if (depth === 0) return;
      // Tried, weighed, kept: each number only where it is less than the one before.
      const nodes = ids.map(id => tree.by.get(id)), weighed = nodes.filter(node => Number.isFinite(node.value) || node.foresight).length;
      const on = nodes.filter(node => !isPruned(node)).length, middle = on < weighed && weighed < nodes.length;
      const flow = make('span', 'quiet', nodes.length < 2 ? '' : [nodes.length, ...(middle ? [weighed] : []), ...(on < nodes.length ? [on] : [])].join(' → '));
      flow.title = `${nodes.length} tried, ${middle ? `${weighed} weighed, ` : ''}${on} kept`;
      const step = nodes[0].step ?? depth, bar = make('span', 'mix');
      const sizes = new Map();
      for (const node of nodes) if (Number.isInteger(node.cluster)) sizes.set(node.cluster, (sizes.get(node.cluster) ?? 0) + 1);
      for (const [cluster, size] of [...sizes].sort(([a], [b]) => a - b)) {
        const part = make('i', `c${cluster % 6}`);
        part.style.flexGrow = size;
        part.title = `cluster ${letter(cluster)}: ${size}`;
        bar.append(part);
      }
      const head = make('div', 'head', make('b', '', `Step ${step}`), flow, bar);
      Object.assign(head.style, { left: `${at.get(ids[0]).x}px`, width: `${size.column}px` });
      heads.push(head);
    });
    this.heads.replaceChildren(...heads);
  }

  curve() {
    const paths = { off: '', on: '', best: '', walk: '' }, { tree, at } = this;
    const link = id => {
      const end = at.get(id), start = at.get(tree.by.get(id).parent);
      if (!start) return '';
      const [x1, y1, x2, y2] = [start.x + start.w, start.y + start.h / 2, end.x, end.y + end.h / 2], bend = (x2 - x1) * .55;
      return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    };
    for (const id of tree.order) paths[tree.path.has(id) ? 'best' : isPruned(tree.by.get(id)) ? 'off' : 'on'] += link(id);
    for (let id = this.selected; tree.by.has(id); id = tree.by.get(id).parent) paths.walk += link(id);
    for (const [kind, path] of Object.entries(this.curves)) path.setAttribute('d', paths[kind]);
  }

  /** The whole tree as a strip: where one is in it, and a way to get elsewhere. */
  chart() {
    const { tree, at, size } = this;
    this.map.setAttribute('viewBox', `0 0 ${size.width} ${size.tall - HEAD}`);
    const middle = id => { const spot = at.get(id); return [spot.x + spot.w / 2, spot.y - HEAD + spot.h / 2]; };
    const dash = ids => ids.map(id => { const [x, y] = middle(id); return `M${x - 60} ${y}h120`; }).join('');
    const groups = new Map([['off', []]]);
    for (const id of tree.order) {
      const node = tree.by.get(id);
      if (tree.depth.get(id) === 0) continue;
      const kind = isPruned(node) ? 'off' : Number.isInteger(node.cluster) ? `c${node.cluster % 6}` : 'on';
      groups.set(kind, [...(groups.get(kind) ?? []), id]);
    }
    const path = [...tree.path].map(middle).map(([x, y]) => `${x} ${y}`);
    this.map.replaceChildren(
      ...(path.length > 1 ? [draw('path', { class: 'best', d: `M${path.join('L')}` })] : []),
      ...[...groups].map(([kind, ids]) => draw('path', { class: `dash ${kind}`, d: dash(ids) })),
      this.view = draw('rect', { class: 'view', rx: 4 }));
    this.frameView();
  }

  frameView() {
    if (!this.view || !this.size) return;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.ground, { width, tall } = this.size;
    const fits = width <= clientWidth + 1 && tall <= clientHeight + 1;
    this.map.classList.toggle('idle', fits);
    const high = tall - HEAD;
    for (const [key, value] of Object.entries({ x: scrollLeft, y: Math.min(scrollTop, high), width: Math.min(clientWidth, width), height: Math.max(0, Math.min(clientHeight - HEAD, high)) })) this.view.setAttribute(key, value);
  }

  travel(event) {
    const box = this.map.getBoundingClientRect();
    this.follow = false;
    this.ground.scrollLeft = (event.clientX - box.left) / box.width * this.size.width - this.ground.clientWidth / 2;
    this.ground.scrollTop = (event.clientY - box.top) / box.height * this.size.tall - this.ground.clientHeight / 2;
  }

  /** Selects a node, or nothing; focus and view follow when asked. */
  select(id, { focus = false } = {}) {
    if (id !== this.selected) {
      this.cards.get(this.selected)?.setAttribute('aria-selected', 'false');
      this.selected = id;
      for (const card of this.cards.values()) if (card.tabIndex === 0) card.tabIndex = -1;
      const card = this.cards.get(id ?? this.tree?.order[0]);
      if (card) card.tabIndex = 0;
      if (id !== null) card?.setAttribute('aria-selected', 'true');
      if (this.at) this.curve();
      this.say(id);
      this.onSelect(id);
    }
    if (focus && id !== null) {
      const card = this.cards.get(id);
      card?.focus({ preventScroll: true });
      this.reveal(id);
    }
  }

  /** Scrolls the tree's own ground so that a node stands clear; the page is left alone. */
  reveal(id) {
    const spot = this.at?.get(id), ground = this.ground;
    if (!spot) return;
    const x = Math.min(spot.x - 24, Math.max(ground.scrollLeft, spot.x + spot.w + 24 - ground.clientWidth));
    const y = Math.min(spot.y - HEAD - 8, Math.max(ground.scrollTop, spot.y + spot.h + 12 - ground.clientHeight));
    ground.scrollTo({ left: x, top: y });
  }

  /** The line under the tree: why this node stands as it does. */
  say(id) {
    const node = this.tree?.by.get(id);
    if (!node) { this.sill.textContent = ''; return; }
    const where = place(this.search, this.tree, id);
    this.sill.replaceChildren(make('b', '', where), this.tree.depth.get(id) === 0 ? '' : ` · ${this.tree.path.has(id) ? 'chosen' : fate(node)}`, node.why ? ` · ${node.why}` : '');
  }

  key(event) {
    const id = this.idOf(event.target), { tree } = this;
    if (id === null || !tree || event.ctrlKey || event.metaKey || event.altKey) return;
    const column = tree.columns[tree.depth.get(id)], row = column.indexOf(id), children = tree.children.get(id);
    const onward = children.find(child => tree.path.has(child)) ?? children.find(child => !isPruned(tree.by.get(child))) ?? children[0];
    const goal = {
      ArrowLeft: () => tree.by.get(id).parent, ArrowRight: () => onward,
      ArrowUp: () => column[row - 1], ArrowDown: () => column[row + 1],
      Home: () => tree.order[0], End: () => tree.by.has(this.search.chosen) ? this.search.chosen : tree.order.at(-1),
    }[event.key];
    if (goal) {
      event.preventDefault();
      const next = goal();
      if (tree.by.has(next)) this.select(next, { focus: true });
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.onEnter(true);
    } else if (event.key === 'Escape') {
      event.preventDefault();
      this.onEscape();
    }
  }
}

/** The panel beside the tree: one node in full, or, with none selected, the search as a whole. */
export function describe(search, tree, id, go) {
  return id === null || !tree?.by.has(id) ? overview(search, tree, go) : details(search, tree, tree.by.get(id), go);
}

const said = (tag, name, text) => { const element = make(tag, name, text); element.dir = 'auto'; return element; };

function jump(tree, id, go, name = 'to') {
  const node = tree.by.get(id), button = make('button', name, ...(Number.isInteger(node.cluster) ? [mark(node.cluster)] : []), said('span', 'step', shown(node)), make('span', 'figures', number(node.value)));
  button.type = 'button';
  button.addEventListener('click', () => go(id));
  return button;
}

function table(rows) {
  const list = make('dl');
  for (const [name, value, what] of rows) {
    if (value === '' || value === null || value === undefined) continue;
    const term = make('dt', '', name);
    if (what) term.title = what;
    list.append(term, make('dd', '', value));
  }
  return list;
}

function details(search, tree, node, go) {
  const root = tree.depth.get(node.id) === 0, on = tree.path.has(node.id), parts = [];
  const badge = make('span', `verdict${on ? ' confirmed' : isPruned(node) ? ' off' : ''}`, on ? 'chosen' : fate(node));
  parts.push(make('h3', '', place(search, tree, node.id), ' ', ...(root ? [] : [badge])));
  if (node.why) parts.push(make('p', 'why', node.why));
  if (root) {
    const asked = search.request?.prompt, turns = Array.isArray(asked?.messages) ? asked.messages : [];
    for (const turn of turns) parts.push(make('p', 'small', String(turn?.role ?? '')), said('pre', 'said', String(turn?.content ?? '')));
    if (typeof asked?.raw === 'string') parts.push(said('pre', 'said', asked.raw));
  } else {
    parts.push(said('pre', 'said', node.text.trim() || '(nothing)'));
  }
  if (node.foresight) parts.push(make('h4', '', 'It looked ahead to'), said('pre', 'said ahead', node.foresight.text.trim() || '(nothing)'));
  const mates = Number.isInteger(node.cluster) ? tree.columns[tree.depth.get(node.id)].filter(id => tree.by.get(id).cluster === node.cluster) : [];
  const cluster = mates.length ? make('span', '', mark(node.cluster), ` ${mates.length} of ${tree.columns[tree.depth.get(node.id)].filter(id => Number.isInteger(tree.by.get(id).cluster)).length} paths`) : '';
  if (!root) parts.push(table([
    ['value', number(node.value, 3), 'how good the search thinks the step is'],
    ['s, of the step', number(node.logprob, 3), 'mean log-probability of the step’s tokens'],
    ['F, of its foresight', number(node.foresight?.logprob, 3), 'mean log-probability of the continuation’s tokens'],
    ['advantage', number(node.advantage, 3), 'F less the F of the step before'],
    ['alignment', number(node.alignment, 3), 'share of the paths that lie in its cluster'],
    ['cluster', cluster],
    ['visits', Number.isInteger(node.visits) ? count(node.visits) : ''],
    ['answers', typeof node.answer === 'string' ? node.answer : ''],
    ['tokens', node.foresight ? `${count(node.tokens)} and ${count(node.foresight.tokens)} ahead` : count(node.tokens)],
    ['ended', node.finished ? 'yes, the answer is complete here' : ''],
  ]));
  const others = mates.filter(id => id !== node.id);
  if (others.length) parts.push(make('h4', '', 'Of the same cluster'), make('div', 'jumps', ...others.map(id => jump(tree, id, go))));
  if (tree.depth.get(node.id) > 1) parts.push(make('details', '', make('summary', '', 'The path so far'), said('pre', 'said', told(tree, node.id).trim())));
  return parts;
}

function overview(search, tree, go) {
  const parts = [make('h3', '', 'The search')];
  const steps = tree ? [...tree.path].reverse().filter(id => tree.depth.get(id) > 0) : [];
  if (steps.length) parts.push(make('h4', '', 'The chosen path'), make('div', 'jumps', ...steps.map(id => jump(tree, id, go))));
  const used = new Set(search.nodes.map(node => node.cluster).filter(Number.isInteger));
  const legend = [];
  if (search.nodes.some(node => Number.isFinite(node.value))) legend.push(['▬', 'the value of a step, against the best of its column']);
  if (search.nodes.some(node => Number.isFinite(node.logprob))) legend.push(['s', 'mean log-probability of a step']);
  if (search.nodes.some(node => node.foresight)) legend.push(['F', 'the same of the path it looked ahead to']);
  if (search.nodes.some(node => Number.isInteger(node.visits))) legend.push(['4×', 'how often the search came through']);
  if (used.size) legend.push([make('span', 'marks', ...[...used].sort((a, b) => a - b).slice(0, 6).map(mark)), 'paths that say alike, in one step']);
  if (search.nodes.some(isPruned)) legend.push([make('span', 'stroke'), 'dropped; the reason shows on hover and focus']);
  if (legend.length) parts.push(make('h4', '', 'How to read it'), table(legend));
  if (search.rounds?.length) parts.push(make('h4', '', 'Rounds'), rounds(search.rounds));
  return parts;
}

/** A line a round: how many were tried, looked ahead from and kept, and how sure they were. */
function rounds(list) {
  const size = ids => Array.isArray(ids) ? count(ids.length) : '';
  const heads = [['', (_, index) => count(list[index].round ?? index + 1)], ['tried', round => size(round.candidates)], ['left', round => size(round.survivors)], ['kept', round => size(round.kept)],
    ['mean s', round => number(round.mean)], ['± σ', round => number(round.deviation)], ['clusters', round => Array.isArray(round.clusters) ? round.clusters.join(' ') : '']];
  const shown = heads.filter(([, value]) => list.some((round, index) => value(round, index)));
  const rows = [make('tr', '', ...shown.map(([name]) => make('th', '', name)))];
  list.forEach((round, index) => {
    rows.push(make('tr', '', ...shown.map(([, value]) => make('td', '', value(round, index)))));
    if (!round.stopped) return;
    const note = make('td', 'words', String(round.stopped));
    note.colSpan = shown.length;
    rows.push(make('tr', '', note));
  });
  return make('div', 'scroll', make('table', '', ...rows));
}
