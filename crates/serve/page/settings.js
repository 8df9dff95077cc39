// Which settings does a strategy have? The server says it by example: the defaults of each. Every
// number, switch and word among them becomes a field; only what was changed is sent.

import { make } from './tree.js';

const NAMES = {
  beams: 'Beams (M)', rollouts: 'Candidates a beam (N)', clusters: 'Clusters (K)', n: 'Paths (N)', branch: 'Candidates a beam', width: 'Beams',
  stop_share: 'Stop at a share of (δ)', t_min: 'Steps at least', t_max: 'Steps at most', max_steps: 'Steps at most', width_deviations: 'Deviations allowed',
  advantage_temperature: 'Advantage, τ₁', alignment_temperature: 'Alignment, τ₂', top_p: 'Top p', top_k: 'Top k', min_p: 'Min p',
};

const wording = path => NAMES[path] ?? NAMES[path.split('.').at(-1)] ?? path.split('.').map(part => part.replaceAll('_', ' ')).join(': ').replace(/^./, first => first.toUpperCase());

/** Leaves of the settings that a person may change: [path, value]. */
function leaves(settings, prefix = '') {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return [];
  return Object.entries(settings).flatMap(([key, value]) => {
    const path = prefix + key;
    if (key === 'kind' || value === null) return [];
    if (typeof value === 'object') return leaves(value, `${path}.`);
    // Numbers of single precision come with digits that nobody has written.
    return [[path, typeof value === 'number' ? Number(value.toPrecision(7)) : value]];
  });
}

/** A sheet of fields for one strategy, in a fieldset. */
export class Sheet {
  constructor(fieldset, changed) {
    this.fieldset = fieldset;
    this.fields = [];
    fieldset.addEventListener('input', changed);
  }

  /** Shows a strategy's fields with their defaults; a chosen strategy keeps what was typed for it. */
  show(strategy, all) {
    if (this.strategy === strategy) return;
    this.strategy = strategy;
    const alike = all.filter(other => other.settings?.kind === strategy?.settings?.kind).flatMap(other => leaves(other.settings));
    this.fields = leaves(strategy?.settings).map(([path, value]) => {
      // A word is one of those that the strategies of this kind use.
      const words = typeof value === 'string' ? [...new Set(alike.filter(([other]) => other === path).map(([, word]) => word))] : [];
      const input = document.createElement(words.length > 1 ? 'select' : 'input');
      if (words.length > 1) input.append(...words.map(word => new Option(word, word)));
      else input.type = typeof value === 'boolean' ? 'checkbox' : typeof value === 'number' ? 'number' : 'text';
      if (typeof value === 'boolean') input.checked = value; else input.value = value;
      if (typeof value === 'number') input.step = 'any';
      return { path, value, input };
    });
    const labels = this.fields.map(({ path, input }) => make('label', input.type === 'checkbox' ? 'check' : '', ...(input.type === 'checkbox' ? [input, ` ${wording(path)}`] : [`${wording(path)} `, input])));
    const legend = make('legend', '', strategy?.name ?? '');
    this.fieldset.replaceChildren(legend, ...(labels.length ? labels : [make('p', 'small', 'has no settings of its own')]));
  }

  read({ value, input }) {
    if (input.type === 'checkbox') return input.checked;
    if (input.value.trim() === '') return value;
    return input.type === 'number' ? Number(input.value) : input.value;
  }

  /** Number of fields that differ from their defaults. */
  changes() {
    return this.fields.filter(field => this.read(field) !== field.value).length;
  }

  /** What is sent: the name alone, or the whole with what was changed. */
  value() {
    if (this.changes() === 0) return this.strategy.name;
    const whole = structuredClone(this.strategy.settings);
    for (const field of this.fields) {
      const parts = field.path.split('.'), last = parts.pop();
      parts.reduce((at, part) => at[part], whole)[last] = this.read(field);
    }
    return whole;
  }
}
