//! A saved search, drawn or checked again.

use crate::practice::{Genius, Method};
use crate::weigh::{largest, mean_deviation, softmax};
use crate::{Error, Event, Phi, Pick, Result, Search, Strategy};

/// What [`Search::recheck`] has computed again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recheck {
    /// Rounds whose numbers follow from their nodes.
    pub rounds: usize,
    /// Values computed again.
    pub values: usize,
    /// The largest difference from a stored number.
    pub difference: f64,
}

/// Rounding of sums in another order stays far below it.
const TOLERANCE: f64 = 1e-9;

impl Search {
    /// The events from which this search can be drawn: each node once, as it became, before the
    /// round that decided about it; then the text and the cost.
    pub fn replay(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut shown = vec![false; self.nodes.len()];
        let mut show = |id: usize, events: &mut Vec<Event>| {
            for id in self.path(id) {
                if !std::mem::replace(&mut shown[id], true) {
                    events.push(Event::Node(self.nodes[id].clone()));
                }
            }
        };
        for round in &self.rounds {
            round.candidates.iter().chain(&round.kept).for_each(|id| show(*id, &mut events));
            events.push(Event::Round(round.clone()));
        }
        (0..self.nodes.len()).for_each(|id| show(id, &mut events));
        events.push(Event::Text(self.answer.clone()));
        events.push(Event::Cost(self.cost));
        events
    }

    /// Computes from the stored steps what the rounds say of them: means, deviations, thresholds,
    /// cluster sizes, advantages, alignments and values, which must sum to 1 (each softmax to one
    /// half). An error names the round and the number that does not follow.
    pub fn recheck(&self) -> Result<Recheck> {
        self.validate()?;
        let mut check = Check { round: 0, result: Recheck { rounds: 0, values: 0, difference: 0.0 } };
        for round in &self.rounds {
            check.round = round.round;
            let scores: Vec<f64> = round.candidates.iter().map(|id| self.nodes[*id].logprob.unwrap_or(0.0)).collect();
            let (mean, deviation) = mean_deviation(&scores);
            for (name, stored, own) in [("mean", round.mean, mean), ("deviation", round.deviation, deviation)] {
                if let Some(stored) = stored {
                    check.same(name, stored, own)?;
                }
            }
            check.that(
                round.kept.iter().all(|id| !round.candidates.contains(id) || round.survivors.contains(id)),
                "a kept step did not survive",
            )?;
            match &self.strategy {
                Strategy::Phi(phi) => self.recheck_phi(&mut check, round, phi)?,
                Strategy::Predictive(settings) => {
                    let outlooks: Vec<Option<f64>> =
                        round.survivors.iter().map(|id| self.nodes[*id].outlook()).collect();
                    let least = outlooks.iter().flatten().copied().reduce(f64::min).unwrap_or(0.0);
                    let outlooks: Vec<f64> = outlooks.into_iter().map(|o| o.unwrap_or(least)).collect();
                    check.list("value", &round.values, &softmax(&outlooks, settings.tau))?;
                    check.same("sum of values", round.values.iter().sum(), 1.0)?;
                }
                Strategy::Practice { method: Method::Genius(genius) } => {
                    self.recheck_genius(&mut check, round, genius)?
                }
                _ => {}
            }
            check.result.rounds += 1;
        }
        Ok(check.result)
    }

    fn recheck_genius(&self, check: &mut Check, round: &crate::Round, genius: &Genius) -> Result<()> {
        let f = genius.outlooks(&self.nodes, &round.survivors);
        check.list("advantage", &round.advantages, &genius.advantages(&self.nodes, &round.survivors, &f))?;
        check.list("value", &round.values, &softmax(&f, genius.temperature))?;
        check.same("sum of values", round.values.iter().sum(), 1.0)?;
        if let Some([winner, loser]) = round.pair {
            let place = |id: usize| round.survivors.iter().position(|other| *other == id);
            check.that(place(winner).is_some() && place(winner) == largest(&f), "the better of the pair is not")?;
            check.that(place(loser).is_some() && winner != loser, "the worse of the pair is no other candidate")?;
        }
        Ok(())
    }

    fn recheck_phi(&self, check: &mut Check, round: &crate::Round, phi: &Phi) -> Result<()> {
        if let (Some(threshold), Some(mean), Some(deviation)) = (round.threshold, round.mean, round.deviation) {
            check.same("threshold", threshold, mean - phi.width_deviations * deviation)?;
            for id in &round.candidates {
                let above = self.nodes[*id].logprob.unwrap_or(0.0) >= threshold;
                let alive = round.survivors.contains(id);
                check
                    .that(alive == (above || round.refilled.contains(id)), "a step was pruned against the threshold")?;
            }
        }
        let least = round.survivors.iter().filter_map(|id| self.nodes[*id].outlook()).reduce(f64::min).unwrap_or(0.0);
        let advantages: Vec<f64> = round
            .survivors
            .iter()
            .map(|id| self.nodes[*id].outlook().unwrap_or(least) - crate::phi::before(&self.nodes, *id))
            .collect();
        check.list("advantage", &round.advantages, &advantages)?;
        let n = round.survivors.len();
        if !round.labels.is_empty() {
            check.that(round.labels.len() == n, "a survivor has no cluster")?;
            let size = |label: usize| round.labels.iter().filter(|other| **other == label).count();
            let sizes: Vec<usize> = (0..round.clusters.len()).map(size).collect();
            check.that(sizes == round.clusters && sizes.iter().sum::<usize>() == n, "the clusters' sizes are wrong")?;
            for (a, left) in round.survivors.iter().zip(&round.labels) {
                for (b, right) in round.survivors.iter().zip(&round.labels) {
                    let equal = self.nodes[*a].prospect() == self.nodes[*b].prospect();
                    check.that(!equal || left == right, "equal texts lie in different clusters")?;
                }
            }
            let alignments: Vec<f64> = round.labels.iter().map(|label| size(*label) as f64 / n as f64).collect();
            check.list("alignment", &round.alignments, &alignments)?;
        }
        check.same("sum of values", round.values.iter().sum(), 1.0)?;
        if round.last && phi.pick == Pick::Cluster {
            let inside: Vec<usize> = (0..n).filter(|i| round.labels.get(*i).is_none_or(|label| *label == 0)).collect();
            let chances: Vec<f64> = inside.iter().map(|i| advantages[*i]).collect();
            let mut values = vec![0.0; n];
            for (i, chance) in inside.into_iter().zip(softmax(&chances, phi.pick_temperature)) {
                values[i] = chance;
            }
            return check.list("value", &round.values, &values);
        }
        let aligned = (!round.labels.is_empty()).then_some(round.alignments.as_slice());
        check.list("value", &round.values, &phi.values(&advantages, aligned))?;
        if let Some(alignments) = aligned {
            let halves: [f64; 2] = [
                softmax(&advantages, phi.advantage_temperature).iter().map(|p| 0.5 * p).sum(),
                softmax(alignments, phi.alignment_temperature).iter().map(|p| 0.5 * p).sum(),
            ];
            check.same("advantage's half", halves[0], 0.5)?;
            check.same("alignment's half", halves[1], 0.5)?;
        }
        Ok(())
    }
}

struct Check {
    round: usize,
    result: Recheck,
}

impl Check {
    fn that(&self, holds: bool, problem: &str) -> Result<()> {
        if holds { Ok(()) } else { Err(Error::Record { problem: format!("round {}: {problem}", self.round) }) }
    }

    fn same(&mut self, name: &str, stored: f64, own: f64) -> Result<()> {
        let difference = (stored - own).abs();
        self.result.difference = self.result.difference.max(difference);
        let near = difference <= TOLERANCE * (1.0 + own.abs());
        self.that(near, &format!("the {name} is stored as {stored}, and follows as {own}"))
    }

    fn list(&mut self, name: &str, stored: &[f64], own: &[f64]) -> Result<()> {
        self.that(stored.len() == own.len(), &format!("there are {} {name}s for {} steps", stored.len(), own.len()))?;
        self.result.values += own.len();
        stored.iter().zip(own).try_for_each(|(stored, own)| self.same(name, *stored, *own))
    }
}
