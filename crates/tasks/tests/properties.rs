//! What holds for every problem of every kind and difficulty, on many seeds.

mod solver;

use std::collections::HashSet;

use tasks::{ALPHABET, Error, HARDEST, Kind, Problem, Split, answer, generate};

fn every(split: Split, n: usize, seed: u64) -> impl Iterator<Item = Problem> {
    Kind::ALL.into_iter().flat_map(move |kind| {
        (1..=HARDEST).flat_map(move |difficulty| generate(kind, difficulty, split, n, seed).expect("problems"))
    })
}

/// Answers that are near the right one, as a model's slips are.
fn slips(right: &str) -> Vec<String> {
    let mut wrong = vec![String::new(), format!("1{right}"), format!("-{right}x"), "here now".into()];
    if let Ok(number) = right.parse::<i64>() {
        // `00` is another way to write 0.
        wrong.extend((number > 0).then(|| format!("{right}0")));
        wrong.extend([number - 1, number + 1, number + 10, number * 2 + 1].map(|n| n.to_string()));
        wrong.push(format!("{number}.5"));
    } else {
        wrong.push(right.chars().skip(1).collect());
        wrong.push(format!("{right}a"));
        wrong.push(right.replace("east", "west") + if right.contains("east") { "" } else { " 1 east" });
        let turned: String = right.chars().rev().collect();
        if turned != right {
            wrong.push(turned);
        }
    }
    wrong
}

#[test]
fn a_second_solver_agrees_with_every_step_and_answer() {
    for seed in 0..3 {
        for split in Split::ALL {
            for problem in every(split, 40, seed) {
                assert_eq!(solver::solve(&problem), problem.answer, "{problem:?}");
            }
        }
    }
}

#[test]
fn its_own_solution_verifies_and_no_wrong_one_does() {
    for problem in every(Split::Train, 60, 7) {
        assert!(problem.verify(&problem.solution()), "{problem:?}");
        let steps = problem.steps.join("\n");
        for wrong in slips(&problem.answer) {
            let text = format!("{steps}\nAnswer: {wrong}\n");
            assert!(!problem.verify(&text), "{wrong:?} passed: {problem:?}");
        }
        // The answer to be given is what counts, not one that was given before.
        assert!(!problem.verify(&format!("{}Answer: none\n", problem.solution())));
    }
}

#[test]
fn splits_never_overlap_at_any_seeds_kinds_and_difficulties() {
    let questions = |split: Split, seed: u64| -> HashSet<String> {
        every(split, 150, seed).map(|problem| problem.question).collect()
    };
    let train: HashSet<String> = (0..3).flat_map(|seed| questions(Split::Train, seed)).collect();
    let validation: HashSet<String> = (3..6).flat_map(|seed| questions(Split::Validation, seed)).collect();
    let exam: HashSet<String> = (0..3).flat_map(|seed| questions(Split::Exam, seed)).collect();
    assert!(train.is_disjoint(&validation) && train.is_disjoint(&exam) && validation.is_disjoint(&exam));
    assert!(train.len() > 20_000 && exam.len() > 20_000, "{} {}", train.len(), exam.len());
}

#[test]
fn questions_are_distinct_and_seeds_give_other_questions() {
    for kind in Kind::ALL {
        for difficulty in [1, 4, 9] {
            let of = |seed| generate(kind, difficulty, Split::Train, 300, seed).expect("problems");
            let questions: HashSet<String> = of(1).into_iter().map(|problem| problem.question).collect();
            assert_eq!(questions.len(), 300);
            let ids: HashSet<String> = of(1).into_iter().map(|problem| problem.id).collect();
            assert_eq!(ids.len(), 300);
            let again = of(2).into_iter().filter(|problem| questions.contains(&problem.question)).count();
            assert!(again < 60, "{kind} {difficulty}: {again} of 300 questions came again");
        }
    }
}

#[test]
fn the_first_of_many_are_the_few() {
    for kind in Kind::ALL {
        let many = generate(kind, 3, Split::Validation, 100, 5).expect("problems");
        for few in [0, 1, 37] {
            assert_eq!(generate(kind, 3, Split::Validation, few, 5).expect("problems"), many[..few]);
        }
    }
}

#[test]
fn texts_are_short_and_of_few_characters() {
    for problem in every(Split::Train, 100, 3) {
        let text = problem.prompt() + &problem.solution();
        assert!(text.chars().all(|c| ALPHABET.contains(c)), "{text:?}");
        assert!(problem.difficulty > 4 || problem.question.len() <= 120, "{}", problem.question);
        assert!(problem.question.len() <= 400, "{}", problem.question);
        assert!(problem.steps.iter().all(|step| !step.is_empty() && step.len() <= 40 && !step.contains('\n')));
        assert!(!problem.question.contains('\n'));
    }
}

#[test]
fn harder_problems_take_more_steps() {
    for kind in Kind::ALL {
        let mean = |difficulty| {
            let problems = generate(kind, difficulty, Split::Train, 200, 1).expect("problems");
            problems.iter().map(|problem| problem.steps.len()).sum::<usize>() as f64 / 200.0
        };
        let means: Vec<f64> = [1, 3, 5, 7, 9].map(mean).into();
        assert!(means.is_sorted() && means[4] > 2.0 * means[0], "{kind}: {means:?}");
    }
}

#[test]
fn every_kind_has_thousands_of_questions_even_at_its_easiest() {
    for kind in Kind::ALL {
        generate(kind, 1, Split::Train, 8_000, 1).expect("8,000 to learn from");
        generate(kind, 1, Split::Exam, 1_000, 1).expect("1,000 to be examined by");
    }
}

#[test]
fn more_than_there_are_is_a_typed_error() {
    let error = generate(Kind::Chain, 1, Split::Exam, 1_000_000, 1).expect_err("too many");
    let Error::TooFew { kind: Kind::Chain, difficulty: 1, split: Split::Exam, asked: 1_000_000, found } = error else {
        panic!("{error}")
    };
    assert!(found > 1_000, "{found}");
    for difficulty in [0, 10] {
        assert!(matches!(generate(Kind::Chain, difficulty, Split::Train, 1, 1), Err(Error::Difficulty { .. })));
    }
}

#[test]
fn answers_are_many_so_that_guessing_does_not_pay() {
    for kind in Kind::ALL {
        for difficulty in [1, 3, 6, 9] {
            let problems = generate(kind, difficulty, Split::Exam, 500, 2).expect("problems");
            let mut counts = std::collections::BTreeMap::new();
            problems.iter().for_each(|problem| *counts.entry(answer(&problem.solution())).or_insert(0) += 1);
            let most = counts.values().max().copied().unwrap_or(0);
            assert!(most <= 110, "{kind} {difficulty}: one answer to {most} of 500");
        }
    }
}

/// One problem of each kind, as it is written; the generator's bytes may not change unnoticed, for
/// finished runs are resumed and compared by them.
#[test]
fn the_same_seed_gives_these_very_bytes() {
    let text: String = Kind::ALL
        .into_iter()
        .map(|kind| {
            let problem = &generate(kind, 4, Split::Train, 1, 1).expect("problem")[0];
            format!("{}\n{}{}\n", problem.id, problem.prompt(), problem.solution())
        })
        .collect();
    assert_eq!(text, include_str!("first.txt"));
}
