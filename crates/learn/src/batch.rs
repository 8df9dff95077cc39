use std::collections::BTreeMap;

use crate::Course;
use crate::case::Case;
use crate::losses::{AnswerScores, Loss, PairLoss, PairScores};
use crate::pack::{Row, Sequence, pack};

/// Cases that make one step together, packed into rows.
///
/// Rows are computed one after the other and their gradients summed, so a batch of many rows is what
/// other trainers call gradient accumulation. Rows are not padded; there is nothing that sorting
/// cases by length would save.
pub(crate) struct Batch<'a> {
    loss: &'a Loss,
    pub cases: Vec<&'a Case>,
    pub rows: Vec<Row>,
    /// For each packed sequence its case and side.
    places: Vec<(usize, usize)>,
    /// Answers behind the prompts of other questions, where the loss asks for them, and the
    /// log-probability of each under the reference.
    pub mismatched: Vec<Row>,
    pub mismatched_references: Vec<f64>,
    /// What the sum over cases is divided by.
    pub divisor: f64,
    /// Whether every learned token weighs the same, whatever its loss, so that one pass will do.
    pub even: bool,
}

/// How one case stood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judged {
    /// Its share of the batch's loss.
    pub loss: f64,
    pub scores: PairScores,
}

impl<'a> Batch<'a> {
    pub fn new(loss: &'a Loss, cases: Vec<&'a Case>, course: &Course) -> Self {
        let (mut sequences, mut places) = (Vec::new(), Vec::new());
        for ((number, case), group) in cases.iter().enumerate().zip(groups(&cases, course.row_tokens)) {
            for (side, completion) in case.sides.iter().enumerate() {
                if let Some(completion) = completion {
                    sequences.push(Sequence::of(&completion.example, group));
                    places.push((number, side));
                }
            }
        }
        let mismatched: Vec<_> =
            cases.iter().flat_map(|case| case.completions()).filter_map(|c| c.mismatched.as_ref()).collect();
        let others: Vec<_> =
            mismatched.iter().enumerate().map(|(group, (example, _))| Sequence::of(example, group)).collect();
        let divisor = cases.iter().map(|case| loss.share(&case.scores([0.0; 2]))).sum::<usize>().max(1) as f64;
        Self {
            loss,
            rows: pack(&sequences, course.row_tokens, course.lanes),
            mismatched: pack(&others, course.row_tokens, course.lanes),
            mismatched_references: mismatched.iter().map(|(_, reference)| *reference).collect(),
            even: matches!(loss, Loss::Sft(_)) && cases.iter().all(|case| case.weight == 1.0),
            cases,
            places,
            divisor,
        }
    }

    /// The number that all pairs share, from the log-probabilities of the mismatched answers.
    pub fn point(&self, policies: &[f64]) -> f64 {
        let answer = |(policy, reference): (&f64, &f64)| {
            let chosen = AnswerScores { mismatched: Some(policy - reference), ..AnswerScores::default() };
            PairScores { chosen: Some(chosen), ..PairScores::default() }
        };
        self.loss.point(&policies.iter().zip(&self.mismatched_references).map(answer).collect::<Vec<_>>())
    }

    /// Given the loss of each learned token of a row: how its cases stand, and the derivative of the
    /// batch's loss with respect to each of those losses. A token that answers share carries the sum of
    /// their derivatives.
    pub fn judge(&self, row: &Row, losses: &[f32], point: f64) -> (Vec<Judged>, Vec<f32>) {
        let mut found: BTreeMap<usize, ([f64; 2], PairLoss)> = BTreeMap::new();
        let place = |answer: usize| self.places[row.sequences[answer]];
        for (answer, ranges) in row.answers.iter().enumerate() {
            let (case, side) = place(answer);
            let sum: f64 = ranges.iter().flat_map(|range| &losses[range.clone()]).map(|&loss| f64::from(loss)).sum();
            found.entry(case).or_default().0[side] = -sum;
        }
        let mut judged = Vec::with_capacity(found.len());
        for (&case, (policy, loss)) in &mut found {
            let scores = self.cases[case].scores(*policy);
            *loss = self.loss.pair(&scores, point).times(scores.weight / self.divisor);
            judged.push(Judged { loss: loss.loss, scores });
        }
        let mut weights = vec![0f64; losses.len()];
        for (answer, ranges) in row.answers.iter().enumerate() {
            let (case, side) = place(answer);
            let loss = &found[&case].1;
            // The loss of a token is −log p.
            let weight = -[loss.d_chosen, loss.d_rejected][side];
            ranges.iter().for_each(|range| weights[range.clone()].iter_mut().for_each(|w| *w += weight));
        }
        (judged, weights.into_iter().map(|weight| weight as f32).collect())
    }
}

/// For each case the number of its group, which stands in one row: neighbours of one question, as
/// long as they surely fit into a row.
fn groups(cases: &[&Case], row_tokens: usize) -> Vec<usize> {
    let (mut group, mut tokens, mut question) = (0, 0, None);
    let mut one = |(number, case): (usize, &&Case)| {
        let prompt = case.completions().map(|c| c.example.learned_from).max().unwrap_or(0);
        let own = case.learned() as usize;
        if question == Some(case.question) && tokens + own <= row_tokens {
            tokens += own;
        } else {
            group = if number == 0 { 0 } else { group + 1 };
            (tokens, question) = (prompt + own, Some(case.question));
        }
        group
    };
    cases.iter().enumerate().map(&mut one).collect()
}
