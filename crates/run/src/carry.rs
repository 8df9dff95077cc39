//! Carrying a stage out: missing shards, merge, manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use record::shard::{read_json, read_jsonl, sha256, sha256_file, to_jsonl, write_atomic, write_json};
use record::{Input, Manifest, Usage};

use crate::plan::{Output, Plan, Record, ShardReport};
use crate::{Event, Result, RunFolder, Watch};

/// A step of the flow: reads records, writes records.
///
/// `run_shard` is pure in (plan, shard) and idempotent; what it reads beside the settings is named
/// in `inputs` by content.
#[async_trait::async_trait]
pub(crate) trait Stage: Send + Sync {
    /// Name, also of its folder.
    fn name(&self) -> String;
    /// Every setting that changes what comes out.
    fn settings(&self) -> serde_json::Value;
    /// What it reads.
    fn inputs(&self) -> Vec<Input>;
    /// Into how many pieces the work falls.
    fn shards(&self) -> u32;
    /// Does one piece. Files beside the shard go to `folder`.
    async fn run_shard(&self, shard: u32, folder: &Path, watch: &Watch) -> Result<Output>;
}

/// A stage that was carried out: its records, and where they lie.
pub(crate) struct Carried {
    /// All records, in order of the shards.
    pub records: Vec<Record>,
    /// What was made, at what cost.
    pub manifest: Manifest,
    /// The stage's folder.
    pub folder: PathBuf,
}

impl Carried {
    /// The merged files, as inputs of the next stage.
    pub fn outputs(&self) -> Vec<Input> {
        self.manifest.outputs.clone()
    }
}

fn shard_path(folder: &Path, shard: u32) -> PathBuf {
    folder.join(format!("shards/{shard:05}.jsonl"))
}

fn done_path(folder: &Path, shard: u32) -> PathBuf {
    folder.join(format!("done/{shard:05}.json"))
}

/// The report of a shard that is finished, of this plan, and whole: the shard file and the files
/// beside it that it names.
fn finished(run: &RunFolder, folder: &Path, shard: u32, address: &str) -> Option<ShardReport> {
    let report: ShardReport = read_json(&done_path(folder, shard)).ok()?;
    let path = shard_path(folder, shard);
    if report.plan != address || report.shard != shard || sha256_file(&path).ok()? != report.sha256 {
        return None;
    }
    let whole = read_jsonl::<Record>(&path).ok()?.iter().all(|record| match record {
        Record::File(file) => sha256_file(&run.root().join(&file.path)).is_ok_and(|hash| hash == file.sha256),
        _ => true,
    });
    whole.then_some(report)
}

/// Runs what is missing of a stage and merges its shards.
pub(crate) async fn carry(
    stage: &dyn Stage,
    seed: u64,
    recipe: &serde_json::Value,
    kernels: &str,
    run: &RunFolder,
    watch: &Watch,
) -> Result<Carried> {
    let begin = Instant::now();
    let name = stage.name();
    let folder = run.stage(&name);
    let plan = Plan {
        schema_version: 1,
        stage: name.clone(),
        settings: stage.settings(),
        seed,
        inputs: stage.inputs(),
        shards: stage.shards(),
    };
    let address = plan.address();
    write_json(&folder.join("plan.json"), &plan)?;

    let mut reports: Vec<_> = (0..plan.shards).map(|shard| finished(run, &folder, shard, &address)).collect();
    let done = reports.iter().flatten().count() as u32;
    watch.tell(Event::Stage { stage: name.clone(), shards: plan.shards, done });
    for shard in 0..plan.shards {
        if reports[shard as usize].is_some() {
            continue;
        }
        watch.check()?;
        run.note("start", &name, shard, &address)?;
        let started = Instant::now();
        let output = stage.run_shard(shard, &folder, watch).await?;
        watch.spend(output.usage.total());
        let report = store(&folder, shard, &address, output, started)?;
        run.note("finish", &name, shard, &address)?;
        reports[shard as usize] = Some(report);
        if plan.shards > 1 {
            let done = reports.iter().flatten().count() as u64;
            watch.tell(Event::Progress { stage: name.clone(), done, total: plan.shards.into(), detail: String::new() });
        }
    }

    let reports: Vec<ShardReport> = reports.into_iter().flatten().collect();
    let carried = merge(&folder, &plan, &reports, recipe, kernels, begin)?;
    watch.tell(Event::Finished { stage: name, summary: summary(&carried.records), seconds: carried.manifest.seconds });
    Ok(carried)
}

/// Writes a shard, then its `done` report: in this order, so that a report vouches for a file.
fn store(folder: &Path, shard: u32, address: &str, output: Output, started: Instant) -> Result<ShardReport> {
    let bytes = to_jsonl(&output.records)?;
    write_atomic(&shard_path(folder, shard), &bytes)?;
    let mut dropped = BTreeMap::new();
    for record in &output.records {
        if let Record::Drop(drop) = record {
            *dropped.entry(drop.reason.clone()).or_insert(0) += 1;
        }
    }
    let report = ShardReport {
        plan: address.into(),
        shard,
        sha256: sha256(&bytes),
        delivered: output.records.len() as u64 - dropped.values().sum::<u64>(),
        dropped,
        usage: output.usage,
        cost_usd: output.cost_usd,
        seconds: started.elapsed().as_secs_f64(),
    };
    write_json(&done_path(folder, shard), &report)?;
    Ok(report)
}

/// Merges shards into one file a kind of record, and writes the manifest.
fn merge(
    folder: &Path,
    plan: &Plan,
    reports: &[ShardReport],
    recipe: &serde_json::Value,
    kernels: &str,
    begin: Instant,
) -> Result<Carried> {
    let mut records: Vec<Record> = Vec::new();
    for shard in 0..plan.shards {
        records.extend(read_jsonl::<Record>(&shard_path(folder, shard))?);
    }
    let mut outputs = Vec::new();
    for (kind, bytes) in by_kind(&records)? {
        let path = folder.join(format!("{kind}.jsonl"));
        let hash = sha256(&bytes);
        if sha256_file(&path).ok().as_ref() != Some(&hash) {
            write_atomic(&path, &bytes)?;
        }
        outputs.push(Input { path: format!("{}/{kind}.jsonl", plan.stage), sha256: hash });
    }
    let mut usage = Usage::default();
    let mut dropped = BTreeMap::new();
    for report in reports {
        usage += report.usage;
        for (reason, count) in &report.dropped {
            *dropped.entry(reason.clone()).or_insert(0) += count;
        }
    }
    let computed: f64 = reports.iter().map(|r| r.seconds).sum();
    let manifest = Manifest {
        schema_version: 1,
        stage: plan.stage.clone(),
        recipe: recipe.clone(),
        inputs: plan.inputs.clone(),
        outputs,
        seed: plan.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        git_revision: option_env!("LYCEUM_GIT_REVISION").map(Into::into),
        git_dirty: option_env!("LYCEUM_GIT_DIRTY").map(|dirty| dirty == "true"),
        kernels: Some(kernels.into()),
        usage,
        cost_usd: reports.iter().map(|r| r.cost_usd).sum(),
        seconds: computed.max(begin.elapsed().as_secs_f64()),
        delivered: reports.iter().map(|r| r.delivered).sum(),
        dropped,
    };
    write_json(&folder.join("manifest.json"), &manifest)?;
    Ok(Carried { records, manifest, folder: folder.into() })
}

/// The records' JSON lines, one buffer a kind, without the envelope.
fn by_kind(records: &[Record]) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let mut files: BTreeMap<&'static str, Vec<u8>> = BTreeMap::new();
    for record in records {
        let (kind, line) = match record {
            Record::Document(document) => ("documents", to_jsonl(&[document])?),
            Record::Fact(fact, _) => ("facts", to_jsonl(&[fact])?),
            Record::Sample(sample) => ("samples", to_jsonl(&[sample])?),
            Record::Item(item) => ("items", to_jsonl(&[item])?),
            Record::Response(response) => ("responses", to_jsonl(&[response])?),
            Record::Trial(trial) => ("trials", to_jsonl(&[trial])?),
            Record::Asked(asked) => ("asked", to_jsonl(&[asked])?),
            Record::Preference(preference) => ("preferences", to_jsonl(&[preference])?),
            Record::Step(step) => ("steps", to_jsonl(&[step])?),
            Record::Guard(guard) => ("guards", to_jsonl(&[guard])?),
            Record::Loss(losses) => ("losses", to_jsonl(&[losses])?),
            Record::Answer(answer) => ("answers", to_jsonl(&[answer])?),
            Record::Mark(mark) => ("marks", to_jsonl(&[mark])?),
            Record::File(file) => ("files", to_jsonl(&[file])?),
            Record::Drop(drop) => ("drops", to_jsonl(&[drop])?),
        };
        files.entry(kind).or_default().extend(line);
    }
    Ok(files)
}

/// How many of which kind, in words.
fn summary(records: &[Record]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records {
        let kind = match record {
            Record::Document(_) => "documents",
            Record::Fact(..) => "facts",
            Record::Sample(_) => "samples",
            Record::Item(_) => "exam questions",
            Record::Response(_) => "answers",
            Record::Trial(_) => "trials",
            Record::Asked(_) => "questions",
            Record::Preference(_) => "preferences",
            Record::Step(_) => "steps",
            Record::Guard(_) => "guard points",
            Record::Loss(_) => "scored texts",
            Record::Answer(_) => "answers",
            Record::Mark(_) => "marks",
            Record::File(_) => continue,
            Record::Drop(_) => "dropped",
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}
