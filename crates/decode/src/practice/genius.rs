use rand_chacha::ChaCha8Rng;
use record::Answer;
use serde::{Deserialize, Serialize};

use super::lesson::{Lesson, Notes, Question};
use crate::check::{self, Checked};
use crate::session::{End, Session};
use crate::{Error, Node, Result, Round, Stopped, weigh};

/// Genius (arXiv 2504.08672): steps are explored by how probable what follows them is, and of each
/// step's futures one is preferred to another.
///
/// Per step: draw M·N candidate steps; look ahead once from each, f being the mean log-probability
/// of what follows; F = softmax(f/τ) over all of them. Explore: the next M beams are drawn from F
/// without replacement. Exploit: the whole response with the highest f is preferred to one that is
/// drawn from F among the others. Both have their advantage A = f − Q, where Q is the f of the step
/// before on their own path, and 0 at the root.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genius {
    /// K: steps, and so pairs of a question at most, 1 to 1000.
    pub steps: usize,
    /// M: paths that are kept, 1 to 256.
    pub beams: usize,
    /// N: steps that each draws, 1 to 256. Of M·N there must be 2 or more.
    pub rollouts: usize,
    /// τ, above 0.
    pub temperature: f64,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub step_temperature: f32,
    /// The same when looking ahead.
    pub foresight_temperature: f32,
    /// Tokens that a look ahead may take, 0 for the rest of the path. Responses end there too.
    pub foresight_tokens: usize,
    /// Whether f comes from looking ahead. Without, f is the step's own mean log-probability, and
    /// only the two responses of a pair are continued to their end.
    pub foresight: bool,
    /// How the next beams are chosen.
    pub explore: Explore,
    /// As in the authors' code, the worse response is drawn evenly from all but the better one.
    pub released: bool,
}

/// How the next beams are chosen among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Explore {
    /// Drawn from F without replacement.
    Sample,
    /// Those with the highest f.
    Greedy,
}

impl Default for Genius {
    fn default() -> Self {
        Self::paper()
    }
}

impl Genius {
    /// The settings that the paper gives.
    pub fn paper() -> Self {
        Self {
            steps: 4,
            beams: 2,
            rollouts: 4,
            temperature: 0.1,
            step_temperature: 0.6,
            foresight_temperature: 1.0,
            foresight_tokens: 0,
            foresight: true,
            explore: Explore::Sample,
            released: false,
        }
    }

    /// What of the authors' code belongs to the search. That the prompt is left out of the
    /// conditioning, and the inverted clip of the weight, belong to the loss.
    pub fn released() -> Self {
        Self { released: true, ..Self::paper() }
    }

    pub(crate) fn validate(&self) -> Checked {
        check::count("steps", self.steps, 1, 1000)?;
        check::count("beams", self.beams, 1, 256)?;
        check::count("rollouts", self.rollouts, 1, 256)?;
        if self.beams * self.rollouts < 2 {
            return Err("`beams` times `rollouts` must be 2 or more, for there to be a pair".into());
        }
        check::positive("temperature", self.temperature)?;
        check::temperature("step_temperature", self.step_temperature)?;
        check::temperature("foresight_temperature", self.foresight_temperature)
    }

    /// f of a node: mean log-probability of what was seen ahead, or of the step itself where its
    /// path ends or f does not come from looking ahead.
    fn outlook(&self, node: &Node) -> Option<f64> {
        if self.foresight { node.outlook() } else { node.logprob }
    }

    /// f of each node; what has no token to be judged by counts as the least of them.
    pub(crate) fn outlooks(&self, nodes: &[Node], ids: &[usize]) -> Vec<f64> {
        let known: Vec<Option<f64>> = ids.iter().map(|id| self.outlook(&nodes[*id])).collect();
        let least = known.iter().flatten().copied().reduce(f64::min).unwrap_or(0.0);
        known.into_iter().map(|f| f.unwrap_or(least)).collect()
    }

    /// A = f − Q: Q is f of each candidate's own parent, and 0 at the root.
    pub(crate) fn advantages(&self, nodes: &[Node], ids: &[usize], f: &[f64]) -> Vec<f64> {
        let parent = |id: usize| nodes[id].parent.filter(|parent| *parent != 0);
        let before = |id: &usize| parent(*id).and_then(|parent| self.outlook(&nodes[parent])).unwrap_or(0.0);
        ids.iter().zip(f).map(|(id, f)| f - before(id)).collect()
    }

    /// Exploit: the place of the highest f, the first among equals, and one drawn among the others
    /// by F without it, renormalised; none if there are no others.
    fn exploit(&self, f: &[f64], rng: &mut ChaCha8Rng) -> Option<[usize; 2]> {
        let winner = weigh::largest(f)?;
        let others: Vec<usize> = (0..f.len()).filter(|i| *i != winner).collect();
        // softmax over the others alone is F renormalised, and does not vanish where F does.
        let chances = match self.released {
            true => vec![1.0; others.len()],
            false => weigh::softmax(&others.iter().map(|i| f[*i]).collect::<Vec<f64>>(), self.temperature),
        };
        let drawn = weigh::draw(&chances, 1, rng);
        drawn.first().map(|i| [winner, others[*i]])
    }

    /// Looks ahead from nodes; whether the budget paid for all of it.
    async fn look(&self, session: &mut Session<'_>, nodes: &[usize]) -> Result<bool> {
        let paid = session.foresee(nodes, self.foresight_temperature, self.foresight_tokens).await?;
        let cut = |id: &usize| session.ahead(*id).is_some_and(|seen| seen.end == End::Cut);
        Ok(paid && !nodes.iter().any(cut))
    }
}

/// The candidates of a step, and what of each is known.
struct Weighed {
    candidates: Vec<usize>,
    f: Vec<f64>,
    advantages: Vec<f64>,
    /// F.
    values: Vec<f64>,
}

impl Genius {
    fn weigh(&self, session: &mut Session<'_>, candidates: Vec<usize>) -> Result<Weighed> {
        let f = self.outlooks(&session.nodes, &candidates);
        let advantages = self.advantages(&session.nodes, &candidates, &f);
        if let Some(i) = advantages.iter().position(|a| !a.is_finite()) {
            return Err(Error::NonFinite { node: candidates[i], what: "advantage" });
        }
        let values = weigh::softmax(&f, self.temperature);
        for (i, id) in candidates.iter().enumerate() {
            session.change(*id, |node| (node.advantage, node.value) = (Some(advantages[i]), Some(values[i])));
        }
        Ok(Weighed { candidates, f, advantages, values })
    }

    /// Explore: the candidates that go on.
    fn explore(&self, session: &Session<'_>, k: usize, weighed: &Weighed, places: usize) -> Vec<usize> {
        let drawn = match self.explore {
            Explore::Sample => weigh::draw(&weighed.values, places, &mut session.rng(0, &format!("explore{k}"))),
            Explore::Greedy => weigh::ranked(&weighed.f).into_iter().take(places).collect(),
        };
        drawn.into_iter().map(|i| weighed.candidates[i]).collect()
    }
}

/// Explores and exploits step by step.
pub(super) async fn practise(mut session: Session<'_>, genius: &Genius, question: &Question<'_>) -> Result<Lesson> {
    session.need_logprobs()?;
    let mut notes = Notes::new(question);
    let (mut open, mut ended, mut best) = (vec![0], 0, 0);
    // From which step on there are no pairs, and why.
    let mut over = None;
    for k in 1..=genius.steps {
        let n = if k == 1 { genius.beams * genius.rollouts } else { genius.rollouts };
        let Some(candidates) = session.roll_out(&open, n, genius.step_temperature).await? else {
            over = Some((k, "budget", "the budget ended before this step was drawn"));
            break;
        };
        if genius.foresight && !genius.look(&mut session, &candidates).await? {
            session.leave(&candidates);
            over = Some((k, "budget", "the budget ended before all futures of this step were seen"));
            break;
        }
        let weighed = genius.weigh(&mut session, candidates)?;
        let places = genius.exploit(&weighed.f, &mut session.rng(0, &format!("loser{k}")));
        let mut pair = places.map(|places| places.map(|i| weighed.candidates[i]));
        if let (Some(ids), false) = (pair, genius.foresight)
            && !genius.look(&mut session, &ids).await?
        {
            over = Some((k, "budget", "the budget ended before the responses of this step did"));
            pair = None;
        }
        match (places, pair) {
            (Some(places), Some(ids)) => {
                let [winner, loser] = places.map(|i| Answer {
                    logprob: Some(weighed.f[i]),
                    advantage: Some(weighed.advantages[i]),
                    ..session.response(weighed.candidates[i])
                });
                notes.pair(k, Some(k as u32), winner, loser);
                best = ids[0];
            }
            (None, _) => notes.none(k, "one-candidate", "a pair needs two candidates"),
            _ => {}
        }
        let kept = genius.explore(&session, k, &weighed, genius.beams - ended);
        session.sort_out(&weighed.candidates, &kept);
        let (whole, rest): (Vec<usize>, Vec<usize>) = kept.iter().partition(|id| session.nodes[**id].finished);
        ended += whole.len();
        open = rest;
        if over.is_none() && open.is_empty() {
            over = Some((k + 1, "all-ended", "every path had ended before this step"));
        }
        let stopped = match over {
            Some((_, "all-ended", _)) => Some("every path that was kept has ended".into()),
            Some((.., why)) => Some(why.to_string()),
            None => (k == genius.steps).then(|| format!("step {k} is the last")),
        };
        session.round(Round {
            round: k,
            candidates: weighed.candidates.clone(),
            survivors: weighed.candidates,
            kept,
            advantages: weighed.advantages,
            values: weighed.values,
            pair,
            stopped,
            ..Round::default()
        });
        if over.is_some() {
            break;
        }
    }
    if let Some((first, reason, why)) = over {
        (first..=genius.steps).for_each(|k| notes.none(k, reason, why));
        if reason == "budget" {
            session.stopped = Stopped::Budget;
        }
    }
    // A record ends with an answer, and the last winner's costs nothing.
    let leaf = match session.nodes[best].finished {
        true => best,
        false => session.adopt(best).unwrap_or(best),
    };
    let why = match best {
        0 => "no step was weighed to its end",
        _ => "the better response of the last step that gave one",
    };
    Ok(notes.finish(session.end(leaf, why)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Share of each place among the losers of many seeds.
    fn losers(genius: &Genius, f: &[f64], seeds: u64) -> Vec<f64> {
        let mut counts = vec![0.0; f.len()];
        for seed in 0..seeds {
            let pair = genius.exploit(f, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
            assert_eq!(pair[0], weigh::largest(f).unwrap());
            counts[pair[1]] += 1.0;
        }
        counts
    }

    fn chi_square(counts: &[f64], expected: &[f64]) -> f64 {
        counts.iter().zip(expected).filter(|(_, e)| **e > 0.0).map(|(c, e)| (c - e).powi(2) / e).sum()
    }

    #[test]
    fn the_loser_is_drawn_from_f_without_the_winner() {
        let f = [-0.9, -0.7, -0.8, -1.0, -0.75];
        let n = 20_000;
        // exp(f/τ) of all but the winner, which is the second, divided by their sum.
        let weights: Vec<f64> =
            f.iter().enumerate().map(|(i, f)| if i == 1 { 0.0 } else { (f / 0.1f64).exp() }).collect();
        let total: f64 = weights.iter().sum();
        let expected: Vec<f64> = weights.iter().map(|w| w / total * n as f64).collect();
        let counts = losers(&Genius::paper(), &f, n);
        assert_eq!(counts[1], 0.0);
        // Three degrees of freedom: 16.27 is passed by 0.1 % of true samples, and seeds are fixed.
        assert!(chi_square(&counts, &expected) < 16.27, "{counts:?} against {expected:?}");
        let even = [n as f64 / 4.0, 0.0, n as f64 / 4.0, n as f64 / 4.0, n as f64 / 4.0];
        assert!(chi_square(&counts, &even) > 1000.0, "the test can tell them apart");
        let released = losers(&Genius::released(), &f, n);
        assert!(chi_square(&released, &even) < 16.27, "{released:?}");
    }

    #[test]
    fn a_pair_is_found_where_f_leaves_no_chance_to_the_loser_and_among_ties() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(Genius::paper().exploit(&[-1000.0, -0.1], &mut rng), Some([1, 0]));
        assert_eq!(Genius::paper().exploit(&[-1.0], &mut rng), None);
        for _ in 0..50 {
            let [winner, loser] = Genius::paper().exploit(&[-0.5; 3], &mut rng).unwrap();
            assert!(winner == 0 && loser != 0, "the first among equals wins, and never against itself");
        }
    }
}
