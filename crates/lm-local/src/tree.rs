//! The prefix tree: which keys and values exist, and in which page each position lies.
//!
//! A node is a span of tokens within one page; position p lies in lane p % 16 of its page. A fork
//! in the middle of a page takes a new page whose first lanes stay empty, so nothing is copied.
//! Splitting a node leaves both parts in the same page, which counts its nodes.
//!
//! Invariants: a node's filled positions are its first ones, and a node with one has only full
//! ancestors; a pinned node and its ancestors are never evicted; the tail of a split keeps its id,
//! so that whoever pinned a node still holds the end of its path.

use std::collections::BTreeMap;

use crate::kernels::{LANES, Segment};

/// A node's number.
pub(crate) type NodeId = usize;

struct Node {
    /// Meaningless for a root, which has no tokens.
    page: u32,
    /// Position of the first token.
    start: usize,
    tokens: Vec<u32>,
    filled: usize,
    parent: Option<NodeId>,
    children: Vec<NodeId>,
    pins: usize,
    /// When it was last asked for.
    used: u64,
    /// A stream appends to it; others may share all but its last token.
    growing: bool,
}

/// All prefixes, one root an adapter.
pub(crate) struct Tree {
    nodes: Vec<Option<Node>>,
    vacant: Vec<NodeId>,
    roots: BTreeMap<u64, NodeId>,
    /// How many nodes lie in each page.
    pages: Vec<u32>,
    free: Vec<u32>,
    clock: u64,
    /// Rises whenever a path may have got more nodes.
    pub version: u64,
    /// Pages promised to live requests and not yet taken.
    pub committed: usize,
}

/// Pages that positions `from..to` take when the first of them begins a new page.
pub(crate) fn pages_for(from: usize, to: usize) -> usize {
    if from >= to { 0 } else { (to - 1) / LANES - from / LANES + 1 }
}

impl Tree {
    /// A tree over `pages` empty pages.
    pub fn new(pages: usize) -> Self {
        Self {
            nodes: Vec::new(),
            vacant: Vec::new(),
            roots: BTreeMap::new(),
            pages: vec![0; pages],
            // The lowest page is taken first, and a freed one at once again: touched memory is fast.
            free: (0..pages as u32).rev().collect(),
            clock: 0,
            version: 0,
            committed: 0,
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes[id].as_ref().expect("ids in use name nodes")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id].as_mut().expect("ids in use name nodes")
    }

    fn add(&mut self, node: Node) -> NodeId {
        match self.vacant.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        }
    }

    /// The root of an adapter (0 is the base model).
    pub fn root(&mut self, adapter: u64) -> NodeId {
        if let Some(root) = self.roots.get(&adapter) {
            return *root;
        }
        let root = self.add(Node {
            page: u32::MAX,
            start: 0,
            tokens: Vec::new(),
            filled: 0,
            parent: None,
            children: Vec::new(),
            pins: 0,
            used: 0,
            growing: false,
        });
        self.roots.insert(adapter, root);
        root
    }

    /// Drops everything that was computed with an adapter, which no live request may use.
    pub fn forget(&mut self, adapter: u64) {
        let Some(root) = self.roots.remove(&adapter) else { return };
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            let Some(node) = self.nodes[id].take() else { continue };
            self.vacant.push(id);
            open.extend(&node.children);
            if id != root {
                self.drop_page(node.page);
            }
        }
    }

    fn drop_page(&mut self, page: u32) {
        self.pages[page as usize] -= 1;
        if self.pages[page as usize] == 0 {
            self.free.push(page);
        }
    }

    /// Pins the node where the longest known prefix of `tokens` ends; returns it and the length.
    pub fn find(&mut self, root: NodeId, tokens: &[u32]) -> (NodeId, usize) {
        self.clock += 1;
        let (mut at, mut end) = (0, root);
        while at < tokens.len() {
            let shared = |child: &NodeId| {
                let node = self.node(*child);
                let most = if node.growing { node.tokens.len() - 1 } else { node.tokens.len() };
                node.tokens[..most].iter().zip(&tokens[at..]).take_while(|(a, b)| a == b).count()
            };
            let best = self.node(end).children.iter().map(|child| (shared(child), *child)).max_by_key(|(len, _)| *len);
            let Some((len, child)) = best.filter(|(len, _)| *len > 0) else { break };
            at += len;
            if len < self.node(child).tokens.len() {
                end = self.split(child, len);
                break;
            }
            end = child;
        }
        let clock = self.clock;
        let node = self.node_mut(end);
        node.pins += 1;
        node.used = clock;
        (end, at)
    }

    /// Cuts a node after `len` tokens; returns the new first part.
    fn split(&mut self, id: NodeId, len: usize) -> NodeId {
        self.version += 1;
        let node = self.node_mut(id);
        let rest = node.tokens.split_off(len);
        let head = Node {
            page: node.page,
            start: node.start,
            tokens: std::mem::replace(&mut node.tokens, rest),
            filled: node.filled.min(len),
            parent: node.parent,
            children: vec![id],
            pins: 0,
            used: node.used,
            growing: false,
        };
        node.start += len;
        node.filled -= head.filled;
        let (page, parent) = (node.page, node.parent);
        let head = self.add(head);
        self.node_mut(id).parent = Some(head);
        self.pages[page as usize] += 1;
        if let Some(parent) = parent {
            for child in &mut self.node_mut(parent).children {
                if *child == id {
                    *child = head;
                }
            }
        }
        head
    }

    /// Pages that a new request can count on: not under a pin and not promised.
    pub fn room(&self) -> usize {
        let mut held = vec![false; self.pages.len()];
        let mut seen = vec![false; self.nodes.len()];
        let pinned = self.nodes.iter().enumerate().filter(|(_, node)| node.as_ref().is_some_and(|node| node.pins > 0));
        for (id, _) in pinned {
            let mut at = Some(id);
            while let Some(id) = at.filter(|id| !seen[*id]) {
                seen[id] = true;
                let node = self.node(id);
                if !node.tokens.is_empty() {
                    held[node.page as usize] = true;
                }
                at = node.parent;
            }
        }
        (self.pages.len() - held.iter().filter(|held| **held).count()).saturating_sub(self.committed)
    }

    /// A page for a new node; evicts what was longest not asked for.
    fn take_page(&mut self) -> Option<u32> {
        while self.free.is_empty() {
            let idle = |(id, node): (NodeId, &Option<Node>)| {
                let node = node.as_ref()?;
                let idle = node.pins == 0 && node.children.is_empty() && node.parent.is_some();
                idle.then_some((node.used, std::cmp::Reverse(node.start), id))
            };
            let (_, _, id) = self.nodes.iter().enumerate().filter_map(idle).min()?;
            let node = self.nodes[id].take()?;
            self.vacant.push(id);
            if let Some(parent) = node.parent {
                self.node_mut(parent).children.retain(|child| *child != id);
            }
            self.drop_page(node.page);
        }
        let page = self.free.pop()?;
        self.pages[page as usize] = 1;
        Some(page)
    }

    /// Appends tokens below a pinned node, in new pages; the pin moves to the end. `None` when there
    /// is no page, which a caller prevents by looking at [`Tree::room`]; the pin then stays at the
    /// last node that could be made, which is returned as the error.
    pub fn append(&mut self, mut end: NodeId, tokens: &[u32], growing: bool) -> Result<NodeId, NodeId> {
        let mut at = 0;
        while at < tokens.len() {
            let Some(page) = self.take_page() else { return Err(end) };
            let parent = self.node(end);
            let start = parent.start + parent.tokens.len();
            let len = (LANES - start % LANES).min(tokens.len() - at);
            let node = Node {
                page,
                start,
                tokens: tokens[at..at + len].to_vec(),
                filled: 0,
                parent: Some(end),
                children: Vec::new(),
                pins: 1,
                used: self.clock,
                growing,
            };
            let id = self.add(node);
            let parent = self.node_mut(end);
            parent.children.push(id);
            parent.pins -= 1;
            parent.growing = false;
            end = id;
            at += len;
        }
        self.version += 1;
        Ok(end)
    }

    /// Appends one token to a stream's end. Returns the new end and whether a page was taken.
    pub fn grow(&mut self, end: NodeId, token: u32) -> Result<(NodeId, bool), NodeId> {
        let node = self.node_mut(end);
        if node.growing && !(node.start + node.tokens.len()).is_multiple_of(LANES) {
            node.tokens.push(token);
            return Ok((end, false));
        }
        Ok((self.append(end, &[token], true)?, true))
    }

    /// Pins a node once more.
    pub fn pin(&mut self, id: NodeId) {
        self.node_mut(id).pins += 1;
    }

    /// Gives a pin back.
    pub fn release(&mut self, id: NodeId) {
        self.clock += 1;
        let clock = self.clock;
        let node = self.node_mut(id);
        node.pins -= 1;
        node.growing = false;
        node.used = clock;
    }

    /// The nodes from below the root to `end`, and the segments that they stand for.
    pub fn path(&self, end: NodeId) -> (Vec<NodeId>, Vec<Segment>) {
        let mut nodes = Vec::new();
        let mut at = end;
        while let Some(parent) = self.node(at).parent {
            nodes.push(at);
            at = parent;
        }
        nodes.reverse();
        let segment = |id: &NodeId| {
            let node = self.node(*id);
            Segment { page: node.page, start: node.start as u32, len: node.tokens.len() as u32 }
        };
        let segments = nodes.iter().map(segment).collect();
        (nodes, segments)
    }

    /// A node's first position, tokens, filled positions and page.
    pub fn span(&self, id: NodeId) -> (usize, &[u32], usize, u32) {
        let node = self.node(id);
        (node.start, &node.tokens, node.filled, node.page)
    }

    /// Positions on the way to `end` whose keys and values are missing.
    pub fn unfilled(&self, end: NodeId) -> usize {
        let mut missing = 0;
        let mut at = Some(end);
        while let Some(id) = at {
            let node = self.node(id);
            missing += node.tokens.len() - node.filled;
            // Above a node with a filled position all is full; a root has no positions.
            at = node.parent.filter(|_| node.filled == 0);
        }
        missing
    }

    /// Says that keys and values of a node's next `count` positions have been written.
    pub fn fill(&mut self, id: NodeId, count: usize) {
        let node = self.node_mut(id);
        node.filled += count;
        assert!(node.filled <= node.tokens.len(), "positions are filled once");
    }

    /// Pages that hold something.
    pub fn pages_used(&self) -> usize {
        self.pages.len() - self.free.len()
    }

    /// All pages.
    pub fn pages_total(&self) -> usize {
        self.pages.len()
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn check(tree: &Tree, pins: &BTreeMap<NodeId, usize>) {
        let mut in_page = vec![0; tree.pages.len()];
        let mut lanes = std::collections::HashSet::new();
        for (id, node) in tree.nodes.iter().enumerate() {
            let Some(node) = node else { continue };
            assert_eq!(node.pins, pins.get(&id).copied().unwrap_or(0), "pins of node {id}");
            for child in &node.children {
                assert_eq!(tree.node(*child).parent, Some(id));
                assert_eq!(tree.node(*child).start, node.start + node.tokens.len());
                assert!(tree.node(*child).filled == 0 || node.filled == node.tokens.len());
            }
            let Some(parent) = node.parent else { continue };
            assert!(tree.node(parent).children.contains(&id));
            assert!(!node.tokens.is_empty() && node.start % LANES + node.tokens.len() <= LANES);
            in_page[node.page as usize] += 1;
            for lane in 0..node.tokens.len() {
                assert!(lanes.insert((node.page, node.start % LANES + lane)), "a lane belongs to one node");
            }
        }
        assert_eq!(in_page, tree.pages);
        let free = in_page.iter().filter(|count| **count == 0).count();
        assert_eq!(free, tree.free.len());
    }

    fn tokens_of(tree: &Tree, end: NodeId) -> Vec<u32> {
        tree.path(end).0.iter().flat_map(|id| tree.node(*id).tokens.clone()).collect()
    }

    #[test]
    fn holds_its_invariants_under_random_operations() {
        for seed in 0..30 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut tree = Tree::new(24);
            // (end, its tokens, whether it grows)
            let mut live: Vec<(NodeId, Vec<u32>)> = Vec::new();
            for _ in 0..400 {
                match rng.random_range(0..10) {
                    0..4 => {
                        let tokens: Vec<u32> = (0..rng.random_range(1..60))
                            .map(|i| if i < 20 { 1 } else { rng.random_range(0..2) })
                            .collect();
                        let adapter = rng.random_range(0..2);
                        let root = tree.root(adapter);
                        let (end, at) = tree.find(root, &tokens);
                        assert_eq!(tokens_of(&tree, end), &tokens[..at]);
                        if tree.room() < pages_for(at, tokens.len()) {
                            tree.release(end);
                            continue;
                        }
                        let end = tree.append(end, &tokens[at..], false).expect("room was there");
                        live.push((end, tokens));
                    }
                    4..7 if !live.is_empty() => {
                        let i = rng.random_range(0..live.len());
                        let token = rng.random_range(0..2);
                        if tree.room() > 0 {
                            let (end, tokens) = &mut live[i];
                            *end = tree.grow(*end, token).expect("room was there").0;
                            tokens.push(token);
                        }
                    }
                    7..9 if !live.is_empty() => {
                        // Fill the next unfilled position of a path.
                        let i = rng.random_range(0..live.len());
                        let open = tree.path(live[i].0).0.into_iter().find(|id| {
                            let (_, tokens, filled, _) = tree.span(*id);
                            filled < tokens.len()
                        });
                        if let Some(id) = open {
                            tree.fill(id, 1);
                        }
                    }
                    _ if !live.is_empty() => {
                        let i = rng.random_range(0..live.len());
                        let (end, _) = live.swap_remove(i);
                        tree.release(end);
                    }
                    _ => {}
                }
                let mut pins = BTreeMap::new();
                for (end, tokens) in &live {
                    *pins.entry(*end).or_insert(0) += 1;
                    assert_eq!(&tokens_of(&tree, *end), tokens, "a live path never changes");
                }
                check(&tree, &pins);
            }
        }
    }

    #[test]
    fn a_fork_shares_and_takes_a_new_page() {
        let mut tree = Tree::new(8);
        let root = tree.root(0);
        let (end, at) = tree.find(root, &[1; 20]);
        assert_eq!(at, 0);
        let first = tree.append(end, &[1; 20], false).expect("room");
        let mut other = vec![1; 18];
        other.push(2);
        let (end, at) = tree.find(root, &other);
        assert_eq!(at, 18);
        let second = tree.append(end, &other[18..], false).expect("room");
        let (a, b) = (tree.path(first).1, tree.path(second).1);
        assert_eq!((a.len(), b.len(), tree.pages_used()), (3, 3, 3));
        assert_eq!(a[..2], b[..2]);
        assert_eq!(b[2].start, 18);
        tree.forget(0);
        assert_eq!(tree.pages_used(), 0);
    }
}
