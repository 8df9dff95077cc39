use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::case::Case;
use crate::{Course, Error, Result};

/// Which cases each step sees.
pub(crate) struct Plan {
    /// The order of each pass.
    orders: Vec<Vec<usize>>,
    batch: usize,
    pub steps_per_epoch: u64,
    /// Steps in all.
    pub steps: u64,
    /// Whether `max_tokens` left some out.
    pub cut: bool,
}

impl Plan {
    /// Each pass takes the questions in an order of its own; cases of one question follow each other,
    /// so that they share a tree, unless a batch ends between them.
    pub fn new(cases: &[Case], course: &Course) -> Result<Self> {
        let questions = questions(cases);
        let order = |epoch: u64| {
            let seed = record::seed::derive(course.seed, "learn-order", &epoch.to_string());
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut order: Vec<&Vec<usize>> = questions.iter().collect();
            for last in (1..order.len()).rev() {
                order.swap(last, random.random_range(0..=last));
            }
            order.into_iter().flatten().copied().collect()
        };
        let steps_per_epoch = course.steps_per_pass(cases.len());
        let mut plan = Self {
            orders: (0..course.passes).map(order).collect(),
            batch: course.batch_samples,
            steps_per_epoch,
            steps: steps_per_epoch * course.passes,
            cut: false,
        };
        let mut tokens = 0;
        for step in 1..=plan.steps {
            tokens += plan.batch(step).iter().map(|&i| cases[i].tokens()).sum::<u64>();
            if course.max_tokens.is_some_and(|most| tokens > most) {
                (plan.steps, plan.cut) = (step - 1, true);
                break;
            }
        }
        if plan.steps == 0 {
            let problem =
                format!("is less than the {tokens} tokens of the first step; raise it or take smaller batches");
            return Err(Error::Setting { setting: "max_tokens", problem });
        }
        Ok(plan)
    }

    /// Cases of a step, from 1.
    pub fn batch(&self, step: u64) -> &[usize] {
        let order = &self.orders[((step - 1) / self.steps_per_epoch) as usize];
        let start = ((step - 1) % self.steps_per_epoch) as usize * self.batch;
        &order[start..(start + self.batch).min(order.len())]
    }

    /// Whether the validation loss is measured after a step.
    pub fn measures(&self, step: u64, course: &Course) -> bool {
        let every = if course.validation_every == 0 { self.steps_per_epoch } else { course.validation_every };
        step.is_multiple_of(every) || step == self.steps
    }
}

/// The cases of each question, questions in the order of their first cases.
fn questions(cases: &[Case]) -> Vec<Vec<usize>> {
    let mut places = std::collections::HashMap::new();
    let mut questions: Vec<Vec<usize>> = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let place = *places.entry(case.question).or_insert_with(|| {
            questions.push(Vec::new());
            questions.len() - 1
        });
        questions[place].push(number);
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;

    #[test]
    fn cases_of_a_question_follow_each_other_in_every_pass() {
        let case = |number: usize| {
            let example = Example { id: number.to_string(), tokens: vec![1; 3 + number % 4], learned_from: 1 };
            Case { question: number % 5, ..Case::sample(example, number) }
        };
        let cases: Vec<Case> = (0..20).map(case).collect();
        let course = Course { passes: 3, batch_samples: 8, ..crate::SftConfig::default().course(20) };
        let plan = Plan::new(&cases, &course).expect("a plan");
        assert_eq!((plan.steps_per_epoch, plan.steps, plan.cut), (3, 9, false));
        let pass = |n: u64| (1..=3).flat_map(|step| plan.batch(n * 3 + step).to_vec()).collect::<Vec<_>>();
        for n in 0..3 {
            let seen = pass(n);
            assert!(seen.chunks(4).all(|four| four.iter().all(|i| i % 5 == four[0] % 5)), "{seen:?}");
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..20));
        }
        assert!(pass(0) != pass(1) && pass(1) != pass(2));
        let tokens: u64 = plan.batch(1).iter().chain(plan.batch(2)).map(|&i| cases[i].tokens()).sum();
        let cut = Plan::new(&cases, &Course { max_tokens: Some(tokens), ..course.clone() }).expect("a plan");
        assert_eq!((cut.steps, cut.cut), (2, true));
        assert!(Plan::new(&cases, &Course { max_tokens: Some(5), ..course }).is_err());
    }
}
