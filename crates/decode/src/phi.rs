use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};
use crate::cluster::{self, Clusters};
use crate::session::Session;
use crate::{Error, Fate, Node, Result, Round, Search, weigh};

/// φ-Decoding (arXiv 2503.13288): steps are drawn by how much better what follows them became
/// (advantage) and by how many continuations agree with it (alignment).
///
/// Per step: draw M·N candidate steps; drop those with log-probability below μ − kσ; look ahead once
/// from each that is left; p = ½ softmax(A/τ₁) + ½ softmax(C/τ₂); draw M from p without replacement;
/// stop looking ahead when one cluster holds a share of at least δ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phi {
    /// M: paths that are kept, 1 to 256.
    pub beams: usize,
    /// N: steps that each draws, 1 to 256.
    pub rollouts: usize,
    /// K: clusters of the texts seen ahead, 1 to 256.
    pub clusters: usize,
    /// δ, in [0, 1]: looking ahead ends when the largest cluster holds this share of the paths.
    pub stop_share: f64,
    /// Tmin: the first step at which it may end so.
    pub t_min: usize,
    /// Tmax: the last step that is looked ahead from, 1 to 1000.
    pub t_max: usize,
    /// k, 0 or more: steps below μ − k·σ are pruned.
    pub width_deviations: f64,
    /// Pruned steps come back by softmax(s / this) while fewer than M are left.
    pub refill_temperature: f64,
    /// τ₁, above 0.
    pub advantage_temperature: f64,
    /// τ₂, above 0.
    pub alignment_temperature: f64,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub step_temperature: f32,
    /// The same when looking ahead.
    pub foresight_temperature: f32,
    /// The same when the paths are completed.
    pub final_temperature: f32,
    /// Tokens that a look ahead may take, 0 for the rest of the path.
    pub foresight_tokens: usize,
    /// Whether to look ahead at all. Without, F is the step's own mean log-probability, and the
    /// steps' own texts are clustered.
    pub foresight: bool,
    /// How texts are compared. Without, p = softmax(A/τ₁), and looking ahead never ends early.
    pub clustering: Clustering,
    /// Whether improbable steps are pruned before looking ahead.
    pub width_pruning: bool,
    /// Whether looking ahead may end early.
    pub depth_pruning: bool,
    /// How the answer is chosen among the completed paths.
    pub pick: Pick,
    /// For [`Pick::Cluster`]: K of the clusters among the completed paths.
    pub pick_clusters: usize,
    /// For [`Pick::Cluster`]: the answer is drawn by softmax(A / this), above 0.
    pub pick_temperature: f64,
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clustering {
    /// Not at all.
    Off,
    /// By the words that they share, rare ones counting more.
    TfIdf,
    /// By the vectors of an encoder, which must be given.
    Encoder,
}

/// How the answer is chosen among the completed paths, whose A and C are computed as a step's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The one with the largest p.
    Value,
    /// Drawn by advantage from the largest of `pick_clusters` clusters.
    Cluster,
}

impl Default for Phi {
    fn default() -> Self {
        Self::paper()
    }
}

impl Phi {
    /// The settings that the paper gives.
    pub fn paper() -> Self {
        Self {
            beams: 4,
            rollouts: 4,
            clusters: 3,
            stop_share: 0.7,
            t_min: 4,
            t_max: 8,
            width_deviations: 1.0,
            refill_temperature: 0.1,
            advantage_temperature: 0.6,
            alignment_temperature: 0.6,
            step_temperature: 0.6,
            foresight_temperature: 1.0,
            final_temperature: 1.0,
            foresight_tokens: 0,
            foresight: true,
            clustering: Clustering::TfIdf,
            width_pruning: true,
            depth_pruning: true,
            pick: Pick::Value,
            pick_clusters: 2,
            pick_temperature: 0.1,
        }
    }

    /// The settings of the authors' code. Its mistakes are mended: no step is refused for a negative
    /// advantage, clusters are looked up where they are, and better is never taken for worse.
    pub fn released() -> Self {
        Self {
            stop_share: 0.69,
            advantage_temperature: 0.1,
            alignment_temperature: 1.0,
            pick: Pick::Cluster,
            ..Self::paper()
        }
    }

    pub(crate) fn validate(&self) -> Checked {
        check::count("beams", self.beams, 1, 256)?;
        check::count("rollouts", self.rollouts, 1, 256)?;
        check::count("clusters", self.clusters, 1, 256)?;
        check::share("stop_share", self.stop_share)?;
        check::count("t_min", self.t_min, 1, 1000)?;
        check::count("t_max", self.t_max, 1, 1000)?;
        if !self.width_deviations.is_finite() || self.width_deviations < 0.0 {
            return Err("`width_deviations` must be finite and 0 or more".into());
        }
        check::positive("refill_temperature", self.refill_temperature)?;
        check::positive("advantage_temperature", self.advantage_temperature)?;
        check::positive("alignment_temperature", self.alignment_temperature)?;
        check::temperature("step_temperature", self.step_temperature)?;
        check::temperature("foresight_temperature", self.foresight_temperature)?;
        check::temperature("final_temperature", self.final_temperature)?;
        check::count("pick_clusters", self.pick_clusters, 1, 256)?;
        check::positive("pick_temperature", self.pick_temperature)
    }
}

/// What the values of a round's survivors are made of.
struct Weighed {
    advantages: Vec<f64>,
    clusters: Option<Clusters>,
    values: Vec<f64>,
}

/// Draws steps by advantage and alignment.
pub(crate) async fn search(mut session: Session<'_>, phi: &Phi) -> Result<Search> {
    session.need_logprobs()?;
    if phi.clustering == Clustering::Encoder && session.tools.embedder.is_none() {
        return Err(Error::Needs {
            strategy: session.strategy.name(),
            what: "an encoder for its clusters, and none is given",
            hint: "cluster by tf_idf, or give an encoder",
        });
    }
    let mut open = vec![0];
    let mut ended: Vec<usize> = Vec::new();
    for t in 1..=phi.t_max {
        let n = if t == 1 { phi.rollouts * phi.beams } else { phi.rollouts };
        let Some(candidates) = session.roll_out(&open, n, phi.step_temperature).await? else { break };
        let places = phi.beams - ended.len();
        let mut round = prune(&mut session, phi, t, &candidates, places);
        let survivors = round.survivors.clone();
        if phi.foresight && !session.foresee(&survivors, phi.foresight_temperature, phi.foresight_tokens).await? {
            session.leave(&survivors);
            break;
        }
        let weighed = weigh_up(&mut session, phi, &survivors, phi.clusters, &format!("cluster{t}")).await?;
        for (i, id) in survivors.iter().enumerate() {
            session.change(*id, |node| {
                node.advantage = Some(weighed.advantages[i]);
                node.value = Some(weighed.values[i]);
                if let Some(clusters) = &weighed.clusters {
                    node.cluster = Some(clusters.labels[i]);
                    node.alignment = Some(clusters.alignment()[i]);
                }
            });
        }
        let drawn = weigh::draw(&weighed.values, places, &mut session.rng(0, &format!("pick{t}")));
        let kept: Vec<usize> = drawn.iter().map(|i| survivors[*i]).collect();
        session.sort_out(&survivors, &kept);
        let (whole, rest): (Vec<usize>, Vec<usize>) = kept.iter().partition(|id| session.nodes[**id].finished);
        ended.extend(whole);
        open = rest;
        let share = weighed.clusters.as_ref().map_or(0.0, Clusters::largest_share);
        let agreed = phi.depth_pruning && weighed.clusters.is_some() && t >= phi.t_min && share >= phi.stop_share;
        round.stopped = if open.is_empty() {
            Some("every path that was kept has ended".into())
        } else if agreed {
            Some(format!("{:.0} % of the paths agree, and {:.0} % are enough", share * 100.0, phi.stop_share * 100.0))
        } else if t == phi.t_max {
            Some(format!("step {t} is the last that is looked ahead from"))
        } else {
            None
        };
        let done = round.stopped.is_some();
        weighed.enter(&mut round, kept);
        session.round(round);
        session.certain(&[ended.as_slice(), open.as_slice()].concat());
        if done {
            break;
        }
    }
    let leaves = session.complete(&[ended, open].concat(), phi.final_temperature).await?;
    let leaves = session.whole(&leaves);
    choose(session, phi, &leaves).await
}

/// In-width pruning: survivors have s ≥ μ − kσ; pruned ones come back by softmax(s / τ), without
/// replacement, until there is one for each place.
fn prune(session: &mut Session<'_>, phi: &Phi, t: usize, candidates: &[usize], places: usize) -> Round {
    let scores: Vec<f64> = candidates.iter().map(|id| session.nodes[*id].logprob.unwrap_or(0.0)).collect();
    let (mean, deviation) = weigh::mean_deviation(&scores);
    let mut round = Round {
        round: t,
        candidates: candidates.to_vec(),
        survivors: candidates.to_vec(),
        mean: Some(mean),
        deviation: Some(deviation),
        ..Round::default()
    };
    if !phi.width_pruning {
        return round;
    }
    let threshold = mean - phi.width_deviations * deviation;
    let mut alive: Vec<bool> = scores.iter().map(|s| *s >= threshold).collect();
    let pruned: Vec<usize> = (0..scores.len()).filter(|i| !alive[*i]).collect();
    let missing = places.saturating_sub(scores.len() - pruned.len());
    let chances: Vec<f64> = pruned.iter().map(|i| scores[*i]).collect();
    let chances = weigh::softmax(&chances, phi.refill_temperature);
    let mut refilled: Vec<usize> = weigh::draw(&chances, missing, &mut session.rng(0, &format!("refill{t}")));
    refilled.sort_unstable();
    let refilled: Vec<usize> = refilled.into_iter().map(|i| pruned[i]).collect();
    refilled.iter().for_each(|i| alive[*i] = true);
    for i in (0..scores.len()).filter(|i| !alive[*i]) {
        let why = format!("its mean log-probability {:.3} lies below {threshold:.3} = μ − kσ", scores[i]);
        session.fate(candidates[i], Fate::WidthPruned, why);
    }
    round.threshold = Some(threshold);
    round.refilled = refilled.into_iter().map(|i| candidates[i]).collect();
    round.survivors = (0..scores.len()).filter(|i| alive[*i]).map(|i| candidates[i]).collect();
    round
}

/// A = F − F of the step before (F₀ = 0), C = share of the texts in the same cluster,
/// p = ½ softmax(A/τ₁) + ½ softmax(C/τ₂); p = softmax(A/τ₁) without clusters.
async fn weigh_up(session: &mut Session<'_>, phi: &Phi, nodes: &[usize], k: usize, purpose: &str) -> Result<Weighed> {
    let advantages: Vec<f64> = session
        .outlooks(nodes)
        .into_iter()
        .zip(nodes)
        .map(|(outlook, id)| outlook - before(&session.nodes, *id))
        .collect();
    if let Some(i) = advantages.iter().position(|a| !a.is_finite()) {
        return Err(Error::NonFinite { node: nodes[i], what: "advantage" });
    }
    let clusters = find_clusters(session, phi, nodes, k, purpose).await?;
    let alignments = clusters.as_ref().map(Clusters::alignment);
    let values = phi.values(&advantages, alignments.as_deref());
    Ok(Weighed { advantages, clusters, values })
}

/// F of the step before: 0 at the root.
pub(crate) fn before(nodes: &[Node], id: usize) -> f64 {
    nodes[id].parent.filter(|parent| *parent != 0).and_then(|parent| nodes[parent].outlook()).unwrap_or(0.0)
}

async fn find_clusters(
    session: &mut Session<'_>,
    phi: &Phi,
    nodes: &[usize],
    k: usize,
    purpose: &str,
) -> Result<Option<Clusters>> {
    let texts: Vec<&str> = nodes.iter().map(|id| session.nodes[*id].prospect()).collect();
    let vectors = match (phi.clustering, session.tools.embedder) {
        (Clustering::Off, _) => return Ok(None),
        (Clustering::Encoder, Some(embedder)) => {
            let owned: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
            let operation = "embed what was seen ahead";
            let failed = |source| Error::Model { node: nodes[0], operation, source };
            let vectors = embedder.embed(&owned).await.map_err(failed)?;
            if vectors.len() != owned.len() || vectors.iter().flatten().any(|x| !x.is_finite()) {
                return Err(Error::NonFinite { node: nodes[0], what: "the vector of what was seen ahead" });
            }
            vectors.into_iter().map(|v| v.into_iter().map(f64::from).collect()).collect()
        }
        _ => cluster::tf_idf(&texts),
    };
    Ok(Some(cluster::cluster(&texts, &vectors, k, &mut session.rng(0, purpose))))
}

/// Chooses the answer among completed paths.
async fn choose(mut session: Session<'_>, phi: &Phi, leaves: &[usize]) -> Result<Search> {
    let k = match phi.pick {
        Pick::Value => phi.clusters,
        Pick::Cluster => phi.pick_clusters,
    };
    let mut weighed = weigh_up(&mut session, phi, leaves, k, "cluster").await?;
    if phi.pick == Pick::Cluster {
        // All paths are one cluster where nothing is clustered.
        let inside = |i: usize| weighed.clusters.as_ref().is_none_or(|clusters| clusters.labels[i] == 0);
        let largest: Vec<usize> = (0..leaves.len()).filter(|i| inside(*i)).collect();
        let chances: Vec<f64> = largest.iter().map(|i| weighed.advantages[*i]).collect();
        let chances = weigh::softmax(&chances, phi.pick_temperature);
        weighed.values = vec![0.0; leaves.len()];
        for (i, chance) in largest.into_iter().zip(chances) {
            weighed.values[i] = chance;
        }
    }
    let (at, why) = match phi.pick {
        Pick::Value => (weigh::largest(&weighed.values), "the largest value of the completed paths"),
        Pick::Cluster => (
            weigh::draw(&weighed.values, 1, &mut session.rng(0, "pick")).first().copied(),
            "drawn by advantage from the largest cluster of completed paths",
        ),
    };
    let chosen = at.map_or(0, |i| leaves[i]);
    let mut round = Round {
        round: session.rounds.len() + 1,
        candidates: leaves.to_vec(),
        survivors: leaves.to_vec(),
        last: true,
        ..Round::default()
    };
    for (i, leaf) in
        leaves.iter().enumerate().filter(|(_, leaf)| session.nodes[**leaf].value.is_none()).collect::<Vec<_>>()
    {
        session.change(*leaf, |node| {
            node.advantage = Some(weighed.advantages[i]);
            node.value = Some(weighed.values[i]);
            if let Some(clusters) = &weighed.clusters {
                node.cluster = Some(clusters.labels[i]);
                node.alignment = Some(clusters.alignment()[i]);
            }
        });
    }
    weighed.enter(&mut round, vec![chosen]);
    session.round(round);
    Ok(session.end(chosen, why))
}

impl Phi {
    /// p of a round's survivors from their advantages and, with clusters, their alignments.
    pub(crate) fn values(&self, advantages: &[f64], alignments: Option<&[f64]>) -> Vec<f64> {
        let by_advantage = weigh::softmax(advantages, self.advantage_temperature);
        match alignments {
            None => by_advantage,
            Some(alignments) => {
                let by_alignment = weigh::softmax(alignments, self.alignment_temperature);
                by_advantage.iter().zip(by_alignment).map(|(a, c)| 0.5 * a + 0.5 * c).collect()
            }
        }
    }
}

impl Weighed {
    fn enter(self, round: &mut Round, kept: Vec<usize>) {
        if let Some(clusters) = self.clusters {
            round.alignments = clusters.alignment();
            (round.labels, round.clusters) = (clusters.labels, clusters.sizes);
        }
        (round.advantages, round.values, round.kept) = (self.advantages, self.values, kept);
    }
}
