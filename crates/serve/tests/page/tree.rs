//! A search of M × N × T as a server streams it: drawn by a seed, pruned and clustered as φ does.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Markup, a quote that would end an attribute, a turn of the direction of writing.
pub const HOSTILE: &str =
    "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">' \u{202e}drow";

const SAYS: [&str; 8] = [
    "First, count what was there at the beginning: three boxes of twelve pens.",
    "3 × 12 = 36, so there are 36 pens in all.",
    "Then 7 of them are given away.",
    "36 − 7 = 29 pens are left.",
    "Let x be the number of pens that Anna keeps.",
    "The question asks for what is left, not for what is gone.",
    "Check: 29 + 7 = 36, which is what we began with.",
    "So the answer is 29.",
];

/// The record, and the events that lead to it.
pub struct Grown {
    /// The search as it is saved.
    pub search: Value,
    /// What is streamed before it is whole.
    pub events: Vec<Value>,
}

fn node(id: usize, parent: Option<usize>, step: usize, text: &str, fate: &str, why: &str) -> Value {
    json!({"id": id, "parent": parent, "step": step, "text": text, "tokens": text.len() / 4, "logprob": null,
        "finished": false, "fate": fate, "why": why})
}

/// A tree of so many beams, candidates a beam and steps. Its third step holds hostile text, its
/// fourth a word that does not end.
pub fn grow(question: &str, beams: usize, candidates: usize, steps: usize) -> Grown {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut nodes = vec![node(0, None, 0, "", "expanded", "The question.")];
    nodes[0]["tokens"] = json!(0);
    let mut events = vec![json!({"event": "node", "data": nodes[0]})];
    let (mut kept, mut rounds) = (vec![0], Vec::new());
    let mut cost = json!(null);
    for step in 1..=steps {
        let parents: Vec<usize> = (0..beams).map(|beam| kept[beam % kept.len()]).collect();
        let first = nodes.len();
        for place in 0..beams * candidates {
            let mut text = format!("{}\n", SAYS[rng.random_range(0..SAYS.len())]);
            match (step, place) {
                (3, 0) => text = format!("{HOSTILE}\n"),
                (4, 0) => text = "unbroken".repeat(600),
                _ => {}
            }
            let mut new = node(nodes.len(), Some(parents[place / candidates]), step, &text, "open", "");
            new["logprob"] = json!(-0.2 - 1.4 * rng.random::<f64>());
            new["finished"] = json!(step == steps);
            events.push(json!({"event": "node", "data": new}));
            nodes.push(new);
        }
        let all: Vec<usize> = (first..nodes.len()).collect();
        let survivors: Vec<usize> = all.iter().copied().filter(|id| id % 3 != 0 || *id == first).collect();
        for id in &all {
            let new = &mut nodes[*id];
            if survivors.contains(id) {
                let cluster = [0, 0, 1, 0, 2][id % 5];
                let text = format!("{}\nSo the answer is {}.", SAYS[id % 4], 29 + cluster);
                new["foresight"] = json!({"text": text, "tokens": 20, "logprob": -0.7, "whole": true});
                new["cluster"] = json!(cluster);
                new["advantage"] = json!(0.2 * rng.random::<f64>());
                new["alignment"] = json!(0.5);
                new["value"] = json!(0.05 + 0.1 * rng.random::<f64>());
                new["fate"] = json!("not_sampled");
                new["why"] = json!("The draw went to others.");
            } else {
                new["fate"] = json!("width_pruned");
                new["why"] = json!("Its mean log-probability lies below the threshold.");
            }
        }
        // The hostile and the endless step stay on the tree, so that their children hang on them.
        kept = survivors.iter().copied().step_by((survivors.len() / beams).max(1)).take(beams).collect();
        for id in &kept {
            nodes[*id]["fate"] = json!(if step == steps { "completed" } else { "expanded" });
            nodes[*id]["why"] = json!("Drawn with probability 0.11.");
        }
        for id in all.iter() {
            events.push(json!({"event": "node", "data": nodes[*id]}));
        }
        let round = json!({"round": step, "candidates": all, "survivors": survivors, "kept": kept, "mean": -0.9,
            "deviation": 0.4, "threshold": -1.3, "clusters": [6, 3, 2], "last": step == steps});
        events.push(json!({"event": "round", "data": round}));
        rounds.push(round);
        let decode = 640 * step;
        cost = json!({"calls": 2 * step, "prefill": 200 * step, "cached": 4000 * step, "decode": decode,
            "flops_paper": 6.0 * 134.5e6 * decode as f64, "flops": 2.0 * 134.5e6 * (decode + 200 * step) as f64,
            "seconds": 0.5 * step as f64});
        events.push(json!({"event": "cost", "data": cost}));
    }
    let chosen = *kept.last().expect("someone is kept");
    nodes[chosen]["fate"] = json!("chosen");
    let mut path = vec![chosen];
    while let Some(parent) = nodes[path[path.len() - 1]]["parent"].as_u64() {
        path.push(parent as usize);
    }
    let answer: String = path.iter().rev().map(|id| nodes[*id]["text"].as_str().unwrap_or_default()).collect();
    let search = json!({"schema": 1, "strategy": {"kind": "phi"}, "name": "phi", "model": "pico",
        "request": {"prompt": {"messages": [{"role": "user", "content": question}]}, "max_tokens": 256},
        "scale": "raw", "nodes": nodes, "rounds": rounds, "answer": answer, "chosen": chosen, "cost": cost,
        "stopped": "done"});
    Grown { search, events }
}
