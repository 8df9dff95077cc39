//! `lyceum grade`: a paper, its answers, graders; what everybody got, and how far the graders can be trusted.

mod contaminated;
mod draw;
mod given;
mod judging;
mod say;
mod sitting;
mod spec;
mod total;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use exam::calibration::{Calibration, calibrate};
use exam::grade::{Basis, Key, Mark, Script, Settled, discrepant, rule, scripts, settle, sheet_csv, sheet_html, table};
use exam::paper::{Answer, Date, Kind, Paper, read_answers, read_paper};
use serde::Serialize;

pub use self::contaminated::{Contaminated, Looking, contamination};
use self::given::hand;
use self::judging::{Panel, judged};
pub use self::sitting::{PaperSat, SittingPaper, sit_paper};
pub use self::spec::Grader;
pub use self::total::PersonTotal;
use super::manifest::{Made, manifest};
use crate::verbs::Flow;
use crate::{Error, Event, Recipe, Result, Watch, pull::Sources};

/// What is to be graded, and by whom.
#[derive(Debug, Clone, Serialize)]
pub struct Grading {
    /// The paper.
    pub paper: PathBuf,
    /// Answers to it.
    pub answers: Vec<PathBuf>,
    /// Who marks.
    pub graders: Vec<Grader>,
    /// Who marks again where they differ; none for the first judge model with other draws.
    pub further: Option<Grader>,
    /// Graders differ if their marks do by more than this share of the item's points.
    pub remark: f64,
    /// Graders that an answer should have where no rule decides.
    pub at_least: usize,
    /// How judge models judge.
    pub judge: exam::grade::JudgeConfig,
    /// Whether judges are held against people.
    pub calibrate: bool,
    /// Days on which persons' weights became public, beside those that the answers tell.
    pub published: Vec<(String, Date)>,
}

/// Answers that were graded.
#[derive(Debug, Clone, Serialize)]
pub struct Graded {
    /// The paper's name.
    pub title: String,
    /// Day of the exam.
    pub date: Date,
    /// What each person got, the best first.
    pub totals: Vec<PersonTotal>,
    /// Every answer's score.
    pub settled: Vec<Settled>,
    /// How scores came about, and how often.
    pub bases: BTreeMap<Basis, usize>,
    /// Each grader: marks given, marks failed, mean share of the points.
    pub graders: Vec<GraderLine>,
    /// Judges held against people.
    pub calibration: Option<Calibration>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// The result in a few lines.
    #[serde(skip)]
    pub text: String,
    /// The page.
    pub page: PathBuf,
}

/// What a grader did.
#[derive(Debug, Clone, Serialize)]
pub struct GraderLine {
    /// Name.
    pub grader: String,
    /// Marks given, blank answers left out.
    pub marks: usize,
    /// Answers for which it failed.
    pub failed: usize,
    /// The first failure.
    pub first_failure: Option<String>,
    /// Mean share of the points, over marks given.
    pub mean: f64,
}

/// Paper and answers, with dates.
struct Desk {
    paper: Paper,
    answers: Vec<Answer>,
    scripts: Vec<Script>,
}

impl Desk {
    fn open(paper: &Path, files: &[PathBuf], published: &[(String, Date)], seed: u64) -> Result<Self> {
        let paper = read_paper(paper)?;
        if files.is_empty() {
            return Err(Error::Nothing {
                problem: "there are no answers to grade".into(),
                hint: "let a model sit the paper first: lyceum exam PAPER --model NAME".into(),
            });
        }
        let mut answers: Vec<Answer> = Vec::new();
        for file in files {
            for answer in read_answers(file, &paper)? {
                let same = |other: &Answer| {
                    (&other.person, &other.item, other.attempt) == (&answer.person, &answer.item, answer.attempt)
                };
                if answers.iter().any(same) {
                    return Err(Error::Nothing {
                        problem: format!(
                            "{}: {:?} answered item {:?} in another file too",
                            file.display(),
                            answer.person,
                            answer.item
                        ),
                        hint: "give each person a name of their own, or number the attempts".into(),
                    });
                }
                answers.push(answer);
            }
        }
        for (person, day) in published {
            let mut own = answers.iter_mut().filter(|answer| answer.person == *person).peekable();
            if own.peek().is_none() {
                return Err(Error::Nothing {
                    problem: format!("--published names {person:?}, who has no answer here"),
                    hint: "use the name that stands in the answers' field `person`".into(),
                });
            }
            own.for_each(|answer| answer.published = Some(*day));
        }
        let scripts = scripts(&paper, &answers, seed);
        Ok(Self { paper, answers, scripts })
    }
}

/// Grades answers and writes marks, scores, page and key into `out`.
pub async fn grade(recipe: &Recipe, asked: &Grading, out: &Path, sources: &Sources, watch: &Watch) -> Result<Graded> {
    let begin = Instant::now();
    check(asked)?;
    let desk = Desk::open(&asked.paper, &asked.answers, &asked.published, recipe.seed)?;
    let flow = Flow::open(recipe, out, sources, watch)?;
    let mut panel = Panel::new(&flow, asked, &desk);
    let by_rule = asked.graders.contains(&Grader::Rule);
    let open: Vec<Script> =
        desk.scripts.iter().filter(|script| !(by_rule && decided(&desk.paper, script))).cloned().collect();
    let (mut marks, mut humans): (Vec<Mark>, Vec<String>) = (Vec::new(), Vec::new());
    for grader in &asked.graders {
        let more = match grader {
            Grader::Rule => {
                let mark = |(place, script): (usize, &Script)| rule(desk.paper.item(&script.item)?, script, place);
                desk.scripts.iter().enumerate().filter_map(mark).collect()
            }
            Grader::Model { name, copies } => judged(&mut panel, name.as_deref(), *copies, &open).await?,
            Grader::Human(_) | Grader::Given(_) => {
                let more = hand(grader, &desk)?;
                humans.extend(more.iter().map(|mark| mark.grader.clone()));
                more
            }
        };
        if let Some(double) = more.iter().find(|mark| marks.iter().any(|m: &Mark| m.grader == mark.grader)) {
            return Err(Error::Nothing {
                problem: format!("two graders are called {:?}", double.grader),
                hint: "marks are kept by name: rename one of the files, or write model:NAME*2 for two of a kind".into(),
            });
        }
        marks.extend(more);
    }
    humans.sort();
    humans.dedup();
    let mut notes = Vec::new();
    let wide = discrepant(&desk.paper, &desk.scripts, &marks, asked.remark);
    let again: Vec<Script> = desk.scripts.iter().filter(|script| wide.contains(&script.code)).cloned().collect();
    if !again.is_empty() {
        let (mut more, who) = remark(&mut panel, asked, &desk, &again).await?;
        more.iter_mut().for_each(|mark| mark.further = true);
        if asked.further.as_ref().is_some_and(|further| matches!(further, Grader::Human(_) | Grader::Given(_))) {
            humans.extend(more.iter().map(|mark| mark.grader.clone()));
        }
        let marked = more.iter().filter(|mark| mark.points.is_some()).count();
        if marked > 0 {
            notes.push(format!(
                "{marked} of {} answers were marked again by {who}, because marks differed by more than {:.0} % of the \
                 points; the mean of the closest two of all marks counts",
                desk.scripts.len(),
                100.0 * asked.remark
            ));
        }
        marks.extend(more);
    }
    let settled = settle(&desk.paper, &desk.scripts, &marks, asked.remark);
    notes.extend(warnings(&desk, asked, &settled, &marks));
    let shares = shares(&desk, &marks);
    notes.extend(indifferent(&shares));
    let calibration = asked.calibrate.then(|| calibrate(&desk.paper, &desk.scripts, &marks, &humans, recipe.seed));
    let calibration = calibration.transpose()?;

    let mut made = Made::new(out)?;
    let rows = table(&desk.paper, &desk.answers, &desk.scripts, &marks)?;
    rows.write_csv(&out.join("marks.csv"))?;
    made.wrote("marks.csv");
    made.put("marks.jsonl", &record::shard::to_jsonl(&marks)?)?;
    made.put("scores.csv", &say::scores_csv(&settled))?;
    made.put_json("key.json", &Key::of(&desk.scripts))?;
    let open_again: Vec<Script> = unresolved(&desk, &settled);
    if !open_again.is_empty() {
        made.put("remark/marker-again.csv", &sheet_csv(&desk.paper, &open_again, "again", recipe.seed)?)?;
        made.put("remark/marker-again.html", sheet_html(&desk.paper, &open_again, "again", recipe.seed).as_bytes())?;
        notes.push(format!(
            "{} answers whose graders differ were not marked again: their sheet is remark/marker-again.csv, to be given back \
             with --further human:FILE; until then the mean of all marks counts",
            open_again.len()
        ));
    }
    let mut bases = BTreeMap::new();
    settled.iter().for_each(|score| *bases.entry(score.basis).or_insert(0) += 1);
    let mut graded = Graded {
        title: desk.paper.title.clone(),
        date: desk.paper.date,
        totals: total::totals(&desk.paper, &desk.answers, &settled),
        graders: grader_lines(&shares, &marks),
        settled,
        bases,
        calibration,
        notes,
        text: String::new(),
        page: out.join("grade.html"),
    };
    made.put_json("grade.json", &graded)?;
    let files: Vec<PathBuf> = [std::slice::from_ref(&asked.paper), asked.answers.as_slice()].concat();
    let failed: u64 = graded.graders.iter().map(|grader| grader.failed as u64).sum();
    let dropped = BTreeMap::from([("a grader failed".to_string(), failed)]);
    let given = marks.iter().filter(|mark| mark.points.is_some()).count() as u64;
    let mut manifest = manifest("grade", asked, &files, &made, recipe.seed, begin, given, dropped);
    manifest.usage = panel.usage();
    made.put_json("manifest.json", &manifest)?;
    let mut sheet = say::sheet(&desk.paper, &graded, asked);
    graded.text = report::sheet_text(&sheet);
    sheet.manifest = Some(manifest);
    made.put("grade.html", report::sheet_page(&sheet).as_bytes())?;
    Ok(graded)
}

/// Marking sheets that were written.
#[derive(Debug, Clone, Serialize)]
pub struct Sheets {
    /// Answers on each sheet.
    pub answers: usize,
    /// Answers without text, which are on none.
    pub blank: usize,
    /// Answers that the rule decides (choices, accepted blanks) are on none either.
    pub by_rule: usize,
    /// The files, the key last.
    pub files: Vec<PathBuf>,
}

/// Writes a marking sheet (CSV) and the answers to read (HTML) for each of `markers` people into
/// `out/sheets`, and the key into `out`. Answers that the rule decides stand on them only if `all`.
pub fn sheets(recipe: &Recipe, asked: &Grading, markers: usize, all: bool, out: &Path) -> Result<Sheets> {
    let desk = Desk::open(&asked.paper, &asked.answers, &asked.published, recipe.seed)?;
    let wanted: Vec<Script> =
        desk.scripts.iter().filter(|script| all || !decided(&desk.paper, script)).cloned().collect();
    let written = wanted.iter().filter(|script| !script.is_blank()).count();
    if written == 0 || markers == 0 {
        return Err(Error::Nothing {
            problem: "there is nothing for people to mark".into(),
            hint: "the rule decides choices and accepted blanks; --all-items puts them on the sheets too".into(),
        });
    }
    let mut made = Made::new(out)?;
    for marker in 1..=markers {
        let marker = marker.to_string();
        let csv = sheet_csv(&desk.paper, &wanted, &marker, recipe.seed)?;
        made.put(&format!("sheets/marker-{marker}.csv"), &csv)?;
        let page = sheet_html(&desk.paper, &wanted, &marker, recipe.seed);
        made.put(&format!("sheets/marker-{marker}.html"), page.as_bytes())?;
    }
    made.put_json("key.json", &Key::of(&desk.scripts))?;
    let blank = wanted.len() - written;
    Ok(Sheets { answers: written, blank, by_rule: desk.scripts.len() - wanted.len(), files: made.into_files() })
}

fn check(asked: &Grading) -> Result<()> {
    let wrong = |problem: &str, hint: &str| Err(Error::Nothing { problem: problem.into(), hint: hint.into() });
    if !(0.0..=1.0).contains(&asked.remark) {
        return wrong("--remark must lie between 0 and 1", "0.25 is a quarter of the item's points");
    }
    if asked.graders.is_empty() {
        return wrong("there are no graders", "e.g. --graders rule,model:smollm2-135m*3");
    }
    asked.judge.validate()?;
    Ok(())
}

/// Whether the rule alone decides: choices, and blanks that it accepts. A blank that it does not accept may still say
/// the same in other words.
fn decided(paper: &Paper, script: &Script) -> bool {
    let Some(item) = paper.item(&script.item) else { return false };
    let accepted = || rule(item, script, 0).is_some_and(|mark| mark.points == Some(item.points));
    item.kind.is_choice() || (matches!(item.kind, Kind::Blank(_)) && accepted())
}

/// Marks of the further grader, and who that was.
async fn remark(panel: &mut Panel<'_>, asked: &Grading, desk: &Desk, again: &[Script]) -> Result<(Vec<Mark>, String)> {
    let judge = asked.graders.iter().find_map(|grader| match grader {
        Grader::Model { name, .. } => Some(name),
        _ => None,
    });
    match (&asked.further, judge) {
        (Some(Grader::Rule), _) => Err(Error::Nothing {
            problem: "a rule marks an answer no other way the second time".into(),
            hint: "give --further model:NAME or human:FILE".into(),
        }),
        (Some(Grader::Model { name, .. }), _) | (None, Some(name)) => {
            panel.further = true;
            let marks = judged(panel, name.as_deref(), 1, again).await?;
            let own = if asked.further.is_none() { " (one of the judges, with other draws)" } else { "" };
            let name = marks.first().map_or_else(String::new, |mark| mark.grader.clone());
            Ok((marks, format!("{name}{own}")))
        }
        (Some(grader), _) => {
            let codes: Vec<&str> = again.iter().map(|script| script.code.as_str()).collect();
            let mut marks = hand(grader, desk)?;
            marks.retain(|mark| codes.contains(&mark.code.as_str()));
            Ok((marks, "a person".into()))
        }
        (None, None) => Ok((Vec::new(), String::new())),
    }
}

fn unresolved(desk: &Desk, settled: &[Settled]) -> Vec<Script> {
    let open = |script: &&Script| settled.iter().any(|s| s.code == script.code && s.basis == Basis::Discrepant);
    desk.scripts.iter().filter(open).cloned().collect()
}

/// What a reader must know of marks that are fewer or weaker than they should be.
fn warnings(desk: &Desk, asked: &Grading, settled: &[Settled], marks: &[Mark]) -> Vec<String> {
    let mut notes = Vec::new();
    let short = |score: &&Settled| !matches!(score.basis, Basis::Blank | Basis::Rule) && score.marks < asked.at_least;
    let few = settled.iter().filter(short).count();
    if few > 0 {
        notes.push(format!("{few} answers have fewer than {} marks", asked.at_least));
    }
    let unmarked = settled.iter().filter(|score| score.basis == Basis::Unmarked).count();
    if unmarked > 0 {
        notes.push(format!("{unmarked} answers could not be marked by anybody and count as 0"));
    }
    if asked.graders.iter().any(|grader| matches!(grader, Grader::Model { copies, .. } if *copies > 1)) {
        notes.push(
            "several draws of one judge model share its errors: they tell how sure it is, and are no independent graders".into(),
        );
    }
    let looked: Vec<&Settled> = settled.iter().filter(|score| score.addresses_marker).collect();
    if !looked.is_empty() {
        let codes: Vec<&str> = looked.iter().take(8).map(|score| score.code.as_str()).collect();
        notes.push(format!(
            "{} answers speak to their marker and should be looked at: {}",
            looked.len(),
            codes.join(", ")
        ));
    }
    let cut = desk.answers.iter().filter(|answer| answer.cut).count();
    if cut > 0 {
        notes.push(format!("{cut} answers were cut off at the limit of tokens"));
    }
    let first = marks.iter().find_map(|mark| mark.failed.as_ref().map(|why| (&mark.grader, why)));
    if let Some((grader, why)) = first {
        let failed = marks.iter().filter(|mark| mark.points.is_none()).count();
        notes.push(format!("graders failed {failed} times; the first, {grader}: {why}"));
    }
    notes
}

/// Graders who give all answers alike what others tell apart.
fn indifferent(shares: &BTreeMap<&str, Vec<f64>>) -> Vec<String> {
    const LEAST: usize = 10;
    const ALIKE: f64 = 0.98;
    let alike = |shares: &[f64]| {
        let mut sorted = shares.to_vec();
        sorted.sort_by(f64::total_cmp);
        let same = sorted.chunk_by(|a, b| b - a < 1e-9).max_by_key(|same| same.len())?;
        (shares.len() >= LEAST && same.len() as f64 >= ALIKE * shares.len() as f64).then_some((same.len(), same[0]))
    };
    if shares.values().all(|shares| alike(shares).is_some()) {
        return Vec::new();
    }
    let one = |(grader, shares): (&&str, &Vec<f64>)| {
        let (count, share) = alike(shares)?;
        Some(format!(
            "{grader} gave {count} of {} answers the same {:.0} % of the points, where others differ: it tells nothing apart, \
             and scores that rest on it say little",
            shares.len(),
            100.0 * share
        ))
    };
    shares.iter().filter_map(one).collect()
}

/// What each grader gave for answers that say something, as shares of the points.
fn shares<'a>(desk: &Desk, marks: &'a [Mark]) -> BTreeMap<&'a str, Vec<f64>> {
    let scripts: HashMap<&str, &Script> = desk.scripts.iter().map(|script| (script.code.as_str(), script)).collect();
    let mut shares: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for mark in marks {
        let Some(script) = scripts.get(mark.code.as_str()).filter(|script| !script.is_blank()) else { continue };
        let own = shares.entry(&mark.grader).or_default();
        own.extend(mark.points.map(|points| points / desk.paper.item(&script.item).map_or(1.0, |item| item.points)));
    }
    shares
}

fn grader_lines(shares: &BTreeMap<&str, Vec<f64>>, marks: &[Mark]) -> Vec<GraderLine> {
    let one = |(&grader, shares): (&&str, &Vec<f64>)| {
        let mut failures = marks.iter().filter(|mark| mark.grader == grader && mark.points.is_none()).peekable();
        GraderLine {
            grader: grader.into(),
            marks: shares.len(),
            first_failure: failures.peek().and_then(|mark| mark.failed.clone()),
            failed: failures.count(),
            mean: shares.iter().sum::<f64>() / shares.len().max(1) as f64,
        }
    };
    shares.iter().map(one).collect()
}

/// Says how far a stage is.
fn tell(watch: &Watch, stage: &str, done: usize, total: usize) {
    watch.tell(Event::Progress { stage: stage.into(), done: done as u64, total: total as u64, detail: String::new() });
}
