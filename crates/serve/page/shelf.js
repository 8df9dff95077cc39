// Where do past trees lie? In this browser's own storage, a key a tree, the oldest going first.

const INDEX = 'lyceum.shelf', TREE = 'lyceum.tree.';
/** Trees at most, and characters of all of them together (browsers give about five million). */
const MOST = 30, ROOM = 4_000_000;

/** Lines of the list, newest first: { id, when, question, name, model, tokens, size }. */
export function list() {
  try {
    const lines = JSON.parse(localStorage.getItem(INDEX) ?? '[]');
    return Array.isArray(lines) ? lines.filter(line => typeof line?.id === 'string') : [];
  } catch {
    return [];
  }
}

/** Puts a tree on the shelf. Returns a sentence if it could not be kept, else nothing. */
export function put(search, line) {
  const text = JSON.stringify(search), id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  if (text.length > ROOM) return 'This tree is too large to be kept here; download it to keep it.';
  let lines = [{ ...line, id, when: new Date().toISOString(), size: text.length }, ...list()];
  try {
    while (lines.length > MOST || lines.reduce((sum, { size }) => sum + (size || 0), 0) > ROOM) localStorage.removeItem(TREE + lines.pop().id);
    for (;;) {
      try {
        localStorage.setItem(TREE + id, text);
        localStorage.setItem(INDEX, JSON.stringify(lines));
        return '';
      } catch (error) {
        // The room is less than was thought: older trees make place, until there are none.
        if (lines.length === 1) throw error;
        localStorage.removeItem(TREE + lines.pop().id);
      }
    }
  } catch {
    return 'This browser keeps no trees (its storage is full or closed); download the tree to keep it.';
  }
}

/** The text of a tree, or nothing. */
export function get(id) {
  try {
    return localStorage.getItem(TREE + id);
  } catch {
    return null;
  }
}

/** Forgets one tree, or all. */
export function forget(id) {
  try {
    for (const line of list()) if (id === undefined || line.id === id) localStorage.removeItem(TREE + line.id);
    localStorage.setItem(INDEX, JSON.stringify(id === undefined ? [] : list().filter(line => line.id !== id)));
  } catch { /* A closed storage has nothing to forget. */ }
}
