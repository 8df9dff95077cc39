//! What tokens say of a capability, as `lyceum scaling --tie type` tells it, for a vocabulary.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use weights::Tokenizer;

use crate::recipe::EarlyStop;
use crate::{Error, Result};

/// A weight for each token of the vocabulary, 0 where the file knows none; nothing where no file is asked
/// for.
pub(crate) fn weights(asked: &EarlyStop, tokenizer: &Tokenizer) -> Result<Option<Vec<f32>>> {
    asked.salience.as_deref().map(|path| read(path, asked.task.as_deref(), tokenizer)).transpose()
}

fn read(path: &Path, task: Option<&str>, tokenizer: &Tokenizer) -> Result<Vec<f32>> {
    let wrong = |problem: String| Error::Nothing {
        problem: format!("{}: {problem}", path.display()),
        hint: "give the salience.csv that `lyceum scaling --tie type` wrote, and its early_stop.task".into(),
    };
    let mut reader = csv::Reader::from_path(path).map_err(|e| wrong(e.to_string()))?;
    let head = reader.headers().map_err(|e| wrong(e.to_string()))?;
    if head != ["task", "token", "weight"].as_slice() {
        return Err(wrong("its head is not task,token,weight".into()));
    }
    let (mut tasks, mut known) = (BTreeSet::new(), HashMap::new());
    for row in reader.deserialize() {
        let (of, token, weight): (String, String, f32) = row.map_err(|e| wrong(e.to_string()))?;
        if !weight.is_finite() {
            return Err(wrong(format!("the weight of {token:?} is {weight}")));
        }
        if task.is_none_or(|task| task == of) {
            known.insert(token, weight);
        }
        tasks.insert(of);
    }
    let names = || tasks.iter().cloned().collect::<Vec<_>>().join(", ");
    match task {
        Some(task) if !tasks.contains(task) => return Err(wrong(format!("no task {task}; there are: {}", names()))),
        None if tasks.len() > 1 => return Err(wrong(format!("several tasks, and none is chosen: {}", names()))),
        _ => {}
    }
    let of = |id| std::str::from_utf8(tokenizer.token_bytes(id)).ok().and_then(|text| known.get(text));
    let weights: Vec<f32> = (0..tokenizer.vocab() as u32).map(|id| of(id).copied().unwrap_or(0.0)).collect();
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(wrong("it weighs no token of this model's vocabulary".into()));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_their_text_and_faults_are_named() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("salience.csv");
        let base = weights::Checkpoint::random(weights::Architecture::tiny(), 1).expect("base");
        let go = |text: &str, task: Option<&str>| {
            std::fs::write(&path, text).expect("write");
            let asked = EarlyStop { salience: Some(path.clone()), task: task.map(Into::into) };
            super::weights(&asked, &base.tokenizer).map(|found| found.expect("asked"))
        };
        let text = "task,token,weight\nsums,7,0.5\nsums,\"\n\",-0.25\nwords,7,3\n";
        let found = go(text, Some("sums")).expect("reads");
        let [seven] = base.tokenizer.raw("7")[..] else { panic!("one token") };
        assert_eq!((found.len(), found[seven as usize]), (base.architecture.vocab, 0.5));
        assert_eq!(found.iter().filter(|weight| **weight != 0.0).count(), 2, "the line break is a token too");
        for (text, task, said) in [
            (text, None, "several tasks"),
            (text, Some("names"), "there are: sums, words"),
            ("task,token,weight\nsums,7,nan\n", None, "NaN"),
            ("task,token,weight\nsums,7\n", None, "line"),
            ("token,weight\n7,1\n", None, "head"),
            ("task,token,weight\nsums,never seen,1\n", None, "no token of this model"),
        ] {
            let error = go(text, task).expect_err("must fail").to_string();
            assert!(error.contains(said) && error.contains("salience.csv"), "{error}");
        }
        assert_eq!(super::weights(&EarlyStop::default(), &base.tokenizer).expect("nothing asked"), None);
    }
}
