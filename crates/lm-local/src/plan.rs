use std::collections::HashMap;
use std::sync::Arc;

use crate::adapter::Loaded;
use crate::forward::Batch;
use crate::kernels::Row;
use crate::request::Branch;
use crate::tree::{NodeId, Tree};

/// A step, and what follows from it.
#[derive(Default)]
pub(crate) struct Plan {
    pub batch: Batch,
    /// How many positions of which node the step fills.
    pub fills: Vec<(NodeId, usize)>,
    /// Whose logits stand in which row with logits: (number among them, branch, position).
    pub readings: Vec<(usize, usize, usize)>,
    /// For each branch its cursor after the step, and rows computed for it.
    pub progress: Vec<(usize, u64)>,
}

/// Collects the unfilled positions of all branches, each position once, as far as `most` (rows, rows
/// with logits) goes. A position may follow in the same step those that it reads, because each layer
/// writes all keys and values before attention.
///
/// Nobody waits for ever. Branches that need one row (streams) come first, those that were served
/// longest ago before others. While there are streams, prompts get half of the rows, so that a long
/// prompt slows streams but never stops them. Of what prompts get, a quarter or more goes to the
/// oldest, the rest to the shortest; a quarter of the logits is kept for them.
pub(crate) fn plan(
    tree: &Tree,
    branches: &mut [Branch],
    loaded: &dyn Fn(&Branch) -> Option<Arc<Loaded>>,
    most: (usize, usize),
    step: u64,
) -> Plan {
    let mut planner =
        Planner { tree, most, planned: HashMap::new(), at: HashMap::new(), wants: 0, plan: Plan::default() };
    planner.plan.progress = branches.iter().map(|branch| (branch.cursor, 0)).collect();
    let (mut streams, mut prompts): (Vec<usize>, Vec<usize>) =
        (0..branches.len()).partition(|i| branches[*i].len - branches[*i].cursor <= 1);
    if !prompts.is_empty() {
        planner.most.1 -= most.1 / 4;
    }
    streams.sort_by_key(|i| branches[*i].served);
    for i in streams {
        planner.add(i, &mut branches[i], loaded);
    }
    let rows = planner.plan.batch.rows.len();
    let budget = if rows == 0 { most.0 } else { (most.0 / 2).max(1).min(most.0 - rows) };
    let needs = |i: usize| {
        let branch: &Branch = &branches[i];
        tree.unfilled(branch.end).max(branch.len - branch.wanted.max(branch.cursor).min(branch.len))
    };
    if let Some((oldest, others)) = prompts.split_first_mut() {
        others.sort_by_cached_key(|i| needs(*i));
        let asked: usize = others.iter().map(|i| needs(*i)).sum();
        planner.most = (rows + (budget / 4).max(budget.saturating_sub(asked)), most.1);
        planner.add(*oldest, &mut branches[*oldest], loaded);
        planner.most.0 = rows + budget;
        for i in others {
            planner.add(*i, &mut branches[*i], loaded);
        }
    }
    for (_, branch, _) in &planner.plan.readings {
        branches[*branch].served = step;
    }
    planner.end()
}

struct Planner<'a> {
    tree: &'a Tree,
    most: (usize, usize),
    /// Positions of a node that this step fills.
    planned: HashMap<NodeId, usize>,
    /// The row of a (node, offset).
    at: HashMap<(NodeId, usize), usize>,
    /// Rows with logits.
    wants: usize,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, index: usize, branch: &mut Branch, loaded: &dyn Fn(&Branch) -> Option<Arc<Loaded>>) {
        if self.plan.batch.rows.len() >= self.most.0 {
            return;
        }
        if branch.version != Some(self.tree.version) {
            (branch.nodes, branch.segments) = self.tree.path(branch.end);
            branch.version = Some(self.tree.version);
        }
        let path = self.plan.batch.paths.len() as u32;
        let before = self.plan.batch.rows.len();
        let mut adapter = None;
        let first = branch.segments.partition_point(|s| ((s.start + s.len) as usize) <= branch.cursor);
        'path: for node in &branch.nodes[first..] {
            let (start, tokens, filled, page) = self.tree.span(*node);
            for (offset, token) in tokens.iter().enumerate().skip(branch.cursor.saturating_sub(start)) {
                let position = start + offset;
                let wanted = position >= branch.wanted;
                let present = offset < filled;
                let here = if present { None } else { self.at.get(&(*node, offset)).copied() };
                let room = self.plan.batch.rows.len() < self.most.0 && (!wanted || self.wants < self.most.1);
                let row = match here {
                    // Another branch computes it in this step.
                    Some(row) => row,
                    None if present && !wanted => {
                        self.plan.progress[index].0 = position + 1;
                        continue;
                    }
                    None if !room => break 'path,
                    None => {
                        let row = self.plan.batch.rows.len();
                        if adapter.is_none() {
                            adapter = Some(loaded(branch).map(|loaded| self.adapter(loaded)));
                        }
                        self.plan.batch.rows.push(Row {
                            token: *token,
                            position: position as u32,
                            path,
                            page: (!present).then_some(page),
                            logits: false,
                            adapter: adapter.flatten(),
                        });
                        if !present {
                            *self.planned.entry(*node).or_insert(0) += 1;
                            self.at.insert((*node, offset), row);
                        }
                        self.plan.progress[index].1 += 1;
                        row
                    }
                };
                if wanted {
                    if !self.plan.batch.rows[row].logits {
                        if self.wants == self.most.1 {
                            break 'path;
                        }
                        self.plan.batch.rows[row].logits = true;
                        self.wants += 1;
                    }
                    self.plan.readings.push((row, index, position));
                }
                self.plan.progress[index].0 = position + 1;
            }
        }
        if self.plan.batch.rows.len() > before {
            self.plan.batch.paths.push(branch.segments.clone());
        }
    }

    fn adapter(&mut self, loaded: Arc<Loaded>) -> u32 {
        let adapters = &mut self.plan.batch.adapters;
        let known = adapters.iter().position(|known| Arc::ptr_eq(known, &loaded));
        known.unwrap_or_else(|| {
            adapters.push(loaded);
            adapters.len() - 1
        }) as u32
    }

    /// Puts rows that share pages beside each other, and numbers the rows with logits.
    fn end(mut self) -> Plan {
        let batch = &mut self.plan.batch;
        let mut order: Vec<usize> = (0..batch.rows.len()).collect();
        let key = |row: &usize| {
            let row = &batch.rows[*row];
            (&batch.paths[row.path as usize], row.position)
        };
        order.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut number = vec![0; order.len()];
        let mut count = 0;
        for row in &order {
            number[*row] = count;
            count += usize::from(batch.rows[*row].logits);
        }
        batch.rows = order.iter().map(|row| batch.rows[*row]).collect();
        for reading in &mut self.plan.readings {
            reading.0 = number[reading.0];
        }
        self.plan.fills = self.planned.into_iter().collect();
        self.plan
    }
}
