// What is a search, and what can be read from it?
//
// The record is the server's own (`Search`, schema 1): nodes, rounds, cost, answer. Here it is
// checked when it comes from a file, built up event by event while it streams, and asked the
// questions that a drawing has.

export const SCHEMA = 1;

/** A record that cannot be read; its message is meant for the person who opened the file. */
export class Fault extends Error {}

/** A search that has only begun: the question alone. */
export function begin(question, name, model) {
  return {
    schema: SCHEMA, strategy: null, name, model,
    request: { prompt: { messages: [{ role: 'user', content: question }] } },
    nodes: [], answer: '', chosen: null, cost: null, rounds: [], stopped: null,
  };
}

/** Takes one streamed event in. Returns what changed: 'node', 'round', 'cost', 'text' or ''. */
export function apply(search, event) {
  const data = event?.data;
  switch (event?.event) {
    case 'node': {
      if (!Number.isInteger(data?.id)) return '';
      const at = search.nodes.findIndex(node => node.id === data.id);
      if (at < 0) search.nodes.push(data); else search.nodes[at] = data;
      return 'node';
    }
    case 'round': search.rounds.push(data); return 'round';
    case 'cost': search.cost = data; return 'cost';
    case 'text': return 'text';
    default: return '';
  }
}

/** A strategy that draws no tree still has a tree: one path of one step. */
export function single(search) {
  if (search.nodes.length === 0) search.nodes.push(node(0, null, 0, '', 'kept'));
  if (search.nodes.length === 1 && search.answer) {
    search.nodes.push({ ...node(1, 0, 1, search.answer, 'chosen'), finished: true, why: 'The only path: nothing was weighed against it.' });
    search.chosen = 1;
  }
}

function node(id, parent, step, text, fate) {
  return { id, parent, step, text, tokens: 0, logprob: null, finished: false, foresight: null,
    advantage: null, alignment: null, cluster: null, value: null, visits: null, fate, why: '' };
}

/** Reads the text of a file into a record, or throws a Fault that says what is wrong with it. */
export function read(text, file) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    const cut = text.trimStart().startsWith('{') && !text.trimEnd().endsWith('}');
    throw new Fault(cut ? `${file} ends in the middle: it was cut off while it was saved or sent` : `${file} is not JSON`);
  }
  // An answer of the server that was saved whole carries the record in it.
  const search = value?.nodes === undefined && value?.search ? value.search : value;
  const wrong = fault(search);
  if (wrong) throw new Fault(`${file}: ${wrong}`);
  return search;
}

const optional = (value, kind) => value === null || value === undefined || typeof value === kind;

/** What keeps a value from being a search, or nothing. */
export function fault(search) {
  if (typeof search !== 'object' || search === null || Array.isArray(search) || !Array.isArray(search.nodes)) return 'there is no search tree in it';
  if (search.schema !== SCHEMA) return `it has schema ${String(search.schema)}, this page reads ${SCHEMA}`;
  if (search.nodes.length === 0) return 'its tree has no nodes';
  if (typeof search.answer !== 'string') return 'its answer is missing';
  if (!optional(search.cost, 'object') || (search.rounds !== undefined && !Array.isArray(search.rounds))) return 'its cost or rounds are damaged';
  const seen = new Set();
  for (const node of search.nodes) {
    const name = `node ${String(node?.id)}`;
    if (!Number.isInteger(node?.id) || node.id < 0) return 'a node has no number';
    if (seen.has(node.id)) return `${name} is there twice`;
    if (typeof node.text !== 'string' || typeof node.fate !== 'string') return `${name} has no text or no fate`;
    for (const key of ['logprob', 'advantage', 'alignment', 'value', 'cluster', 'visits', 'tokens', 'step'])
      if (!optional(node[key], 'number')) return `${name} has a ${key} that is no number`;
    if (!optional(node.why, 'string') || !optional(node.foresight, 'object')) return `${name} is damaged`;
    if (node.foresight && typeof node.foresight.text !== 'string') return `${name} looked ahead, but the text of it is missing`;
    // Parents come first, so that no node can be its own ancestor.
    if (node.parent === null || node.parent === undefined) {
      if (seen.size > 0) return `${name} hangs in the air: only the first node has no parent`;
    } else if (!seen.has(node.parent)) return `${name} hangs on node ${String(node.parent)}, which is not there before it`;
    seen.add(node.id);
  }
  if (!optional(search.chosen, 'number') || (typeof search.chosen === 'number' && !seen.has(search.chosen))) return 'the chosen node is not in the tree';
  return '';
}

/** The question that was asked, as a person would recognise it. */
export function question(search) {
  const prompt = search.request?.prompt;
  const turns = Array.isArray(prompt?.messages) ? prompt.messages : [];
  const text = turns.findLast?.(turn => turn?.role === 'user')?.content ?? prompt?.raw;
  return typeof text === 'string' ? text : '';
}

/** The tree as a drawing needs it: children, depth and columns (ordered by beam), the chosen path. */
export function shape(search) {
  const by = new Map(), children = new Map(), depth = new Map(), columns = [];
  for (const node of search.nodes) {
    by.set(node.id, node);
    children.set(node.id, []);
  }
  for (const node of search.nodes) {
    const parent = by.has(node.parent) ? node.parent : null;
    if (parent !== null) children.get(parent).push(node.id);
    depth.set(node.id, parent === null ? 0 : (depth.get(parent) ?? 0) + 1);
  }
  const order = [];
  const roots = search.nodes.filter(node => depth.get(node.id) === 0).map(node => node.id);
  for (let row = roots; row.length > 0; row = row.flatMap(id => children.get(id))) columns.push(row);
  for (const stack = roots.toReversed(); stack.length > 0;) {
    const id = stack.pop();
    order.push(id);
    stack.push(...children.get(id).toReversed());
  }
  const path = new Set();
  for (let id = search.chosen; by.has(id) && !path.has(id); id = by.get(id).parent) path.add(id);
  return { by, children, depth, columns, order, path };
}

/** Fates of a step that is not gone further with. */
export const isPruned = node => /prun|not_|drop|discard|abandon|reject/.test(node.fate ?? '');

const FATES = {
  kept: 'kept', chosen: 'chosen', completed: 'complete', expanded: 'went on', width_pruned: 'pruned',
  not_sampled: 'not drawn', cut: 'cut off', open: 'open',
};

/** A fate in a word or two. */
export const fate = node => FATES[node.fate] ?? String(node.fate ?? '').replaceAll('_', ' ');

/** A cluster's letter: A, B, … Z, then A2 and so on. */
export function letter(cluster) {
  const turn = Math.floor(cluster / 26);
  return String.fromCharCode(65 + cluster % 26) + (turn ? turn + 1 : '');
}

/** The node in words: "Step 3, candidate 2 of 16". */
export function place(search, tree, id) {
  const depth = tree.depth.get(id);
  if (depth === 0) return 'The question';
  const column = tree.columns[depth];
  const step = tree.by.get(id).step ?? depth;
  return column.length > 1 ? `Step ${step}, candidate ${column.indexOf(id) + 1} of ${column.length}` : `Step ${step}`;
}

/** Everything that the path says up to and with a node. */
export function told(tree, id) {
  const parts = [];
  for (let at = id; tree.by.has(at); at = tree.by.get(at).parent) parts.unshift(tree.by.get(at).text);
  return parts.join('');
}

const signed = text => text.replace('-', '−');
/** A number with so many decimals, with a true minus; nothing for nothing. */
export const number = (value, decimals = 2) => typeof value === 'number' && Number.isFinite(value) ? signed(value.toFixed(decimals)) : '';
/** A whole number with thousands. */
export const count = value => typeof value === 'number' && Number.isFinite(value) ? value.toLocaleString('en-US') : '–';
/** A large number with its prefix: 1.24 T. */
export function prefixed(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  const power = value > 0 ? Math.min(6, Math.floor(Math.log10(value) / 3)) : 0;
  return power <= 0 ? count(Math.round(value)) : `${(value / 1000 ** power).toPrecision(3)} ${' kMGTPE'[power]}`;
}
