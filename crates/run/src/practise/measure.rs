//! What a model answers to held-out questions, and what that says of it.

use std::collections::HashSet;

use exam::clustered_mean;
use futures::stream::{StreamExt, TryStreamExt};
use lm::{Generate, Prompt, Score, SharedModel, Span, TokenLogprob};
use record::{Answer, Guard, Preference, Usage};

use super::task::Task;
use crate::Result;

/// Questions that are asked at once.
const AT_ONCE: usize = 64;
/// The most probable tokens that the entropy is summed over.
const TOP: usize = 20;
/// Tokens of a run that counts as repeated.
const RUN: usize = 4;

/// A model as it is measured: through an adapter, or whole.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// Who answers.
    pub model: SharedModel,
    /// Through which adapter.
    pub adapter: Option<String>,
}

/// A greedy answer.
pub(crate) struct Said {
    pub text: String,
    pub tokens: Vec<u32>,
    /// Log-probability of each token.
    pub logprobs: Vec<f64>,
    /// Entropy of each place, where it was asked for.
    pub entropies: Vec<f64>,
    pub usage: Usage,
}

impl Said {
    /// Mean log-probability of its tokens.
    fn reward(&self) -> Option<f64> {
        mean(self.logprobs.iter().copied())
    }
}

/// Greedy answers to every question, in their order.
pub(crate) async fn answer(
    candidate: &Candidate,
    tasks: &[Task],
    max_tokens: usize,
    entropy: bool,
) -> Result<Vec<Said>> {
    let ask = |task: &Task| {
        let request = Generate {
            stop: task.stop.clone(),
            adapter: candidate.adapter.clone(),
            logprobs: true,
            top_logprobs: if entropy { TOP } else { 0 },
            ..Generate::greedy(Prompt::Messages(task.messages.clone()), max_tokens)
        };
        let model = candidate.model.clone();
        async move {
            let generation = model.generate(request).await?;
            let usage = generation.usage;
            let Some(completion) = generation.completions.into_iter().next() else {
                return Err(lm::Error::Engine("the model returned no completion".into()).into());
            };
            Ok(Said {
                text: completion.text,
                tokens: completion.tokens,
                logprobs: completion.logprobs.iter().map(|token| f64::from(token.logprob)).collect(),
                entropies: completion.logprobs.iter().filter_map(token_entropy).collect(),
                usage,
            })
        }
    };
    futures::stream::iter(tasks.iter().map(ask)).buffered(AT_ONCE).try_collect().await
}

/// Entropy over the most probable tokens, all others counted as one.
fn token_entropy(token: &TokenLogprob) -> Option<f64> {
    let probabilities: Vec<f64> = token.top.iter().map(|other| f64::from(other.logprob).exp()).collect();
    let rest = (1.0 - probabilities.iter().sum::<f64>()).max(0.0);
    let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    (!token.top.is_empty()).then(|| probabilities.iter().map(|p| term(*p)).sum::<f64>() + term(rest))
}

/// Measures a candidate beside the model before practice.
pub(crate) async fn measure(
    step: u64,
    candidate: &Candidate,
    reference: &Candidate,
    tasks: &[Task],
    max_tokens: usize,
    preferred: Option<f64>,
) -> Result<(Guard, Usage)> {
    let said = answer(candidate, tasks, max_tokens, true).await?;
    let score = |(task, said): (&Task, &Said)| {
        let continuation = Span { text: said.text.clone(), tokens: said.tokens.clone() };
        let prompt = Prompt::Messages(task.messages.clone());
        let request = Score { prompt, continuation, adapter: reference.adapter.clone(), top_logprobs: 0 };
        let (model, empty) = (reference.model.clone(), said.tokens.is_empty());
        async move { if empty { Ok(None) } else { model.score(request).await.map(Some) } }
    };
    let scored: Vec<_> =
        futures::stream::iter(tasks.iter().zip(&said).map(score)).buffered(AT_ONCE).try_collect().await?;
    let mut usage = Usage::default();
    said.iter().for_each(|said| usage += said.usage);
    scored.iter().flatten().for_each(|scored| usage += scored.usage);

    let marks: Option<Vec<bool>> = tasks
        .iter()
        .zip(&said)
        .map(|(task, said)| task.right.as_ref().map(|right| right(&said.text)))
        .collect::<Option<_>>()
        .filter(|_: &Vec<bool>| !tasks.is_empty());
    let rewards: Vec<Option<f64>> = said.iter().map(Said::reward).collect();
    let ratios = said.iter().zip(&scored).filter_map(|(said, scored)| {
        let before = scored.as_ref()?.tokens.iter().map(|token| f64::from(token.logprob));
        Some(said.logprobs.iter().zip(before).map(|(now, before)| now - before).collect::<Vec<_>>())
    });
    let accuracy = marks.as_deref().and_then(|marks| {
        clustered_mean(tasks.iter().zip(marks).map(|(task, right)| (task.fact.as_str(), f64::from(u8::from(*right)))))
    });
    let runs = said.iter().map(|said| repeated(&said.tokens)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let filled: Vec<&Said> = said.iter().filter(|said| !said.tokens.is_empty()).collect();
    let guard = Guard {
        step,
        questions: tasks.len(),
        accuracy: marks.as_deref().map(|marks| share(marks.iter().filter(|right| **right).count(), marks.len())),
        accuracy_error: accuracy.map(|accuracy| accuracy.standard_error),
        reward: mean(rewards.iter().flatten().copied()).unwrap_or(0.0),
        kl: mean(ratios.flatten()).unwrap_or(0.0),
        entropy: mean(filled.iter().flat_map(|said| said.entropies.iter().copied())).unwrap_or(0.0),
        length: mean(said.iter().map(|said| said.tokens.len() as f64)).unwrap_or(0.0),
        repetition: share(runs.0, runs.1),
        confident_wrong: marks.as_deref().and_then(|marks| confident_wrong(marks, &rewards)),
        marks: marks.unwrap_or_default(),
        preferred,
        fall: None,
        stop: None,
    };
    Ok((guard, usage))
}

/// Log-probability of the chosen answer less that of the rejected one, for each preference that has
/// both.
pub(crate) async fn margins(candidate: &Candidate, pairs: &[Preference]) -> Result<Vec<f64>> {
    let sum = |pair: &Preference, answer: &Answer| {
        let request = Score {
            prompt: Prompt::Messages(pair.messages.clone()),
            continuation: Span { text: answer.text.clone(), tokens: answer.tokens.clone() },
            adapter: candidate.adapter.clone(),
            top_logprobs: 0,
        };
        let model = candidate.model.clone();
        async move { model.score(request).await.map(|scored| scored.sum()) }
    };
    let margin = |pair: &Preference| {
        let sides = pair.chosen.as_ref().zip(pair.rejected.as_ref());
        let sums = sides.map(|(chosen, rejected)| (sum(pair, chosen), sum(pair, rejected)));
        async move {
            let Some((chosen, rejected)) = sums else { return Ok(0.0) };
            lm::Result::Ok(chosen.await? - rejected.await?)
        }
    };
    Ok(futures::stream::iter(pairs.iter().map(margin)).buffered(AT_ONCE).try_collect().await?)
}

/// Share of gains above 0; a tie counts half.
pub(crate) fn preferred(before: &[f64], now: &[f64]) -> Option<f64> {
    mean(before.iter().zip(now).map(|(before, now)| match now - before {
        gain if gain > 0.0 => 1.0,
        gain if gain < 0.0 => 0.0,
        _ => 0.5,
    }))
}

/// Runs of [`RUN`] tokens that stood before in the same answer, and all runs.
fn repeated(tokens: &[u32]) -> (usize, usize) {
    let all = tokens.windows(RUN).count();
    let distinct: HashSet<&[u32]> = tokens.windows(RUN).collect();
    (all - distinct.len(), all)
}

/// Over all pairs of a right and a wrong answer: how often the wrong one is the surer one.
fn confident_wrong(marks: &[bool], rewards: &[Option<f64>]) -> Option<f64> {
    let side = |wanted: bool| {
        let pairs = marks.iter().zip(rewards).filter(move |(right, _)| **right == wanted);
        pairs.filter_map(|(_, reward)| *reward).collect::<Vec<f64>>()
    };
    let (right, wrong) = (side(true), side(false));
    mean(wrong.iter().flat_map(|wrong| {
        right.iter().map(move |right| match wrong.total_cmp(right) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
    }))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm::{Alternative, LogprobScale};

    #[test]
    fn repeated_runs_are_counted_within_an_answer() {
        assert_eq!(repeated(&[1, 2, 3]), (0, 0));
        assert_eq!(repeated(&[1, 2, 3, 4, 5]), (0, 2));
        assert_eq!(repeated(&[7; 8]), (4, 5));
    }

    #[test]
    fn a_surer_wrong_answer_counts_and_ties_count_half() {
        let marks = [true, false, true, false];
        assert_eq!(confident_wrong(&marks, &[Some(-1.0), Some(-0.5), Some(-0.5), Some(-2.0)]), Some(0.375));
        assert_eq!(confident_wrong(&[true, true], &[Some(-1.0), Some(-0.5)]), None);
        assert_eq!(confident_wrong(&[true, false], &[Some(-1.0), None]), None);
        assert_eq!(preferred(&[0.0, 1.0, 2.0], &[1.0, 1.0, 1.0]), Some(0.5));
    }

    #[test]
    fn the_rest_counts_as_one_token() {
        let top = [0.5f32, 0.25].map(|p| Alternative { id: None, text: String::new(), logprob: p.ln() });
        let token = TokenLogprob {
            id: None,
            text: String::new(),
            logprob: 0.5f32.ln(),
            greedy: Some(true),
            scale: LogprobScale::Raw,
            top: top.into(),
        };
        let entropy = token_entropy(&token).expect("entropy");
        assert!((entropy - 1.5 * std::f64::consts::LN_2).abs() < 1e-6, "{entropy}");
        assert!(token_entropy(&TokenLogprob { top: Vec::new(), ..token }).is_none());
    }
}
