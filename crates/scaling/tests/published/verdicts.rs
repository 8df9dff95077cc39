use scaling::{Bootstrap, Config, Form, Prepared, Reason, Verdict, judge, splits};

use crate::Published;

#[test]
fn tasks_near_chance_are_called_not_predictable() {
    let published = Published::read();
    let prepared = Prepared::new(&published.losses);
    let split = &published.splits()[2];
    let folds = splits::leave_one_out(&published.data, &split.train).expect("two distributions");
    let grid = prepared.grid(Form::Signed, 17);
    let choice = prepared.choose(&published.tasks, &folds, &Config::default(), &grid).expect("chosen");
    let config = Config { lambda: choice.lambda, ..Config::default() };
    let own: Vec<usize> = (0..split.test.len()).collect();
    let (mut predictable, mut not, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for (target, items) in published.tasks.iter().zip(&published.items) {
        let predicted = prepared.fit(target, &split.train, &config).expect("fits").predict(&published.losses);
        let errors = target.clone().with_items(*items).errors.expect("errors");
        let pick = |of: &[f64]| -> Vec<f64> { split.test.iter().map(|&m| of[m]).collect() };
        let mean = split.train.iter().map(|&m| target.accuracy[m]).sum::<f64>() / split.train.len() as f64;
        let (y, errors) = (pick(&target.accuracy), pick(&errors));
        match judge(&pick(&predicted), mean, &y, Some(&errors), &own, &Bootstrap::default()).expect("judged") {
            Verdict::Predictable { .. } => predictable.push(target.task.as_str()),
            Verdict::NotPredictable { reason, .. } => not.push((target.task.as_str(), reason)),
            Verdict::Undecided { .. } => open.push(target.task.as_str()),
        }
    }
    println!(
        "{} predictable; not: {}; open: {open:?}",
        predictable.len(),
        not.iter().map(|(task, reason)| format!("{task} ({reason})")).collect::<Vec<_>>().join(", ")
    );
    for task in crate::published::TEN {
        assert!(predictable.contains(&task), "{task}");
    }
    // Law school tests of 230 to 510 items, four choices: no model up to 6.9B knows anything of them.
    for task in ["agi_eval_lsat_ar", "agi_eval_lsat_lr", "agi_eval_lsat_rc"] {
        let reason = not.iter().find(|(name, _)| *name == task).map(|(_, reason)| reason);
        assert!(reason.is_some(), "{task} is at chance");
    }
    assert!(not.iter().any(|(_, reason)| matches!(reason, Reason::Flat { .. })));
}
