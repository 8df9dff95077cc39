// How is the server asked? Lists of models and strategies, and an answer as a stream of events.

const SECRET = 'lyceum.token';

/** The token of this tab, or nothing. */
export function token(value) {
  try {
    if (value !== undefined) sessionStorage.setItem(SECRET, value);
    return sessionStorage.getItem(SECRET) ?? '';
  } catch {
    return value ?? '';
  }
}

/** What the server refused, or that it is not there; `status` is 0 then. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

async function call(path, options = {}) {
  const headers = { ...options.headers }, secret = token();
  if (secret) headers.authorization = `Bearer ${secret}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal('The server does not answer. Is lyceum serve still running?');
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => '');
  throw new Refusal(wording(text) || `The server answered ${response.status} ${response.statusText}`, response.status);
}

/** The sentence in an error body of the OpenAI form, or the start of the body. */
function wording(text) {
  try {
    const { error } = JSON.parse(text);
    return typeof error === 'string' ? error : [error?.message, error?.hint].filter(part => typeof part === 'string').join(' — ');
  } catch {
    return text.slice(0, 300);
  }
}

/** Models that answer: not the entries that only add a strategy to one, nor encoders. */
export async function models() {
  const { data } = await (await call('v1/models')).json();
  return (data ?? []).filter(model => (!model.root || model.root === model.id) && !model.embedding_dimension).map(model => String(model.id));
}

/** Strategies: [{ name, what, settings }]. */
export async function strategies() {
  const body = await (await call('v1/strategies')).json();
  return (Array.isArray(body) ? body : body.data ?? []).filter(strategy => typeof strategy?.name === 'string');
}

/** Asks, and hands every chunk of the answer to `take` as it comes. */
export async function ask(body, signal, take) {
  const response = await call('v1/chat/completions', {
    method: 'POST', signal, body: JSON.stringify(body), headers: { 'content-type': 'application/json' },
  });
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let rest = '', ended = false;
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Refusal('The connection broke off in the middle of the answer.');
    }
    if (piece.done) break;
    rest += decoder.decode(piece.value, { stream: true });
    const lines = rest.split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice(5).trim();
      if (data === '[DONE]') { ended = true; continue; }
      let chunk;
      try {
        chunk = JSON.parse(data);
      } catch {
        throw new Refusal('The server sent something that is not JSON.');
      }
      if (chunk.error) throw new Refusal(wording(data) || 'The server broke the answer off.', chunk.error.code);
      take(chunk);
    }
  }
  if (!ended) throw new Refusal('The answer broke off before its end.');
}
