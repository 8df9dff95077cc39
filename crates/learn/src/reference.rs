use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::engine::Engine;
use crate::example::Example;
use crate::state::Fingerprint;
use crate::{Error, Result};

/// Log-probabilities under the reference, on disk in a training's folder: they are computed once,
/// whatever interrupts the training, and no second model is held while it runs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct References {
    fingerprint: Fingerprint,
    /// Sums over the answers' tokens, answer by answer, those of mismatched answers behind their own.
    sums: Vec<f64>,
}

/// Cases that are computed before the file is written again; a kill loses no more.
const CHUNK: usize = 64;

/// The file in a training's folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("references.json")
}

/// Fills in what the reference says of all cases: from the file as far as that goes, then from the
/// engine with the parameters with which training begins.
pub(crate) fn fill(
    cases: &mut [&mut Case],
    engine: &mut Engine,
    initial: impl Fn() -> Result<Vec<f32>>,
    fingerprint: Fingerprint,
    folder: &Path,
) -> Result<()> {
    let path = path(folder);
    let mut known = match path.is_file() {
        true => record::shard::read_json::<References>(&path)?,
        false => References { fingerprint: fingerprint.clone(), sums: Vec::new() },
    };
    if let Some(what) = known.fingerprint.other(&fingerprint) {
        return Err(Error::OtherTraining { path, what });
    }
    let (mut at, mut parameters) = (0, None);
    // Chunks are the same whatever interrupted an earlier call, so packing and rounding are, too.
    for chunk in cases.chunks_mut(CHUNK) {
        let count = chunk.iter().map(|case| examples(case).count()).sum::<usize>();
        if known.sums.len() < at + count {
            known.sums.truncate(at);
            if parameters.is_none() {
                parameters = Some(initial()?);
            }
            let all: Vec<&Example> = chunk.iter().flat_map(|case| examples(case)).collect();
            known.sums.extend(engine.sums(parameters.as_deref().unwrap_or_default(), &all));
            if let Some(bad) = known.sums[at..].iter().position(|sum| !sum.is_finite()) {
                return Err(Error::NotFinite {
                    what: "reference log-probability",
                    step: 0,
                    samples: vec![all[bad].id.clone()],
                    state: None,
                });
            }
            record::shard::write_json(&path, &known)?;
        }
        let mut sums = known.sums[at..at + count].iter().copied();
        let mut next = || sums.next().unwrap_or_default();
        for completion in chunk.iter_mut().flat_map(|case| case.sides.iter_mut().flatten()) {
            completion.reference = next();
            if let Some((_, reference)) = &mut completion.mismatched {
                *reference = next();
            }
        }
        at += count;
    }
    Ok(())
}

/// What the reference is asked of a case, in order.
fn examples(case: &Case) -> impl Iterator<Item = &Example> {
    case.completions().flat_map(|completion| {
        std::iter::once(&completion.example).chain(completion.mismatched.as_ref().map(|(example, _)| example))
    })
}
