use std::collections::HashMap;
use std::path::{Path, PathBuf};

use scaling::{Losses, Target};
use serde::Serialize;

use super::super::score::{Matrix, Text};
use super::table::Table;
use crate::{Error, Result};

/// Where losses, accuracies and sizes stand.
#[derive(Debug, Clone, Serialize)]
pub struct Sources {
    /// A folder of `lyceum score`, or a CSV file of models and a few losses.
    pub losses: PathBuf,
    /// CSV: `model`, then a task a column. A CSV file of losses may hold them itself.
    pub accuracies: Option<PathBuf>,
    /// CSV: `model`, and `params`, `tokens`, `family` as far as they are known.
    pub meta: Option<PathBuf>,
    /// Items of each task: a number for all, or a CSV of `task,items`.
    pub items: Option<String>,
    /// Only these tasks; all where there is none.
    pub tasks: Vec<String>,
}

/// What is known of the models, in one order.
pub(crate) struct Material {
    pub names: Vec<String>,
    pub losses: Losses,
    pub targets: Vec<Target>,
    /// Items of each task, where known.
    pub items: Vec<Option<usize>>,
    /// Sampling errors of the accuracies of each task, where known. They judge whether there is anything
    /// to predict; fits weigh all models alike, since laws miss by more than sampling does, and models
    /// near 0, whose sampling errors are small, would outweigh all others.
    pub errors: Vec<Option<Vec<f64>>>,
    pub params: Option<Vec<f64>>,
    pub tokens: Option<Vec<f64>>,
    pub families: Option<Vec<String>>,
    /// Name of each column's domain; where losses have no texts, the column's own.
    pub domains: Vec<String>,
    /// The texts behind the columns: text, and the bytes of the column in it.
    pub places: Option<Places>,
    /// What was set aside.
    pub notes: Vec<String>,
}

/// Where columns stand in their texts.
pub(crate) struct Places {
    pub texts: Vec<Text>,
    /// Text, begin, end of each column.
    pub columns: Vec<(usize, usize, usize)>,
}

/// Beginning of the names of columns that hold losses, where a file holds other columns too.
const LOSS: &str = "loss:";

impl Material {
    pub fn read(sources: &Sources) -> Result<Self> {
        let mut material =
            if sources.losses.is_dir() { of_folder(&sources.losses)? } else { of_table(&sources.losses)? };
        if let Some(path) = &sources.meta {
            material.take_meta(&Table::read(path)?)?;
        }
        if let Some(path) = &sources.accuracies {
            (material.targets, material.items, material.errors) = Default::default();
            material.take_accuracies(&Table::read(path)?)?;
        }
        material.choose(&sources.tasks)?;
        if let Some(items) = &sources.items {
            material.take_items(items)?;
        }
        if material.targets.is_empty() {
            return Err(Error::Nothing {
                problem: "no accuracy is known of any task".into(),
                hint: "give --accuracies: a CSV file of `model` and a task a column".into(),
            });
        }
        Ok(material)
    }

    /// Accuracies by the models' names. Models of the losses without a line are left out and named.
    fn take_accuracies(&mut self, table: &Table) -> Result<()> {
        let order = self.order(table, "accuracies")?;
        let model = table.find(&["model"]).unwrap_or(0);
        self.keep(&order, "no accuracies")?;
        let order: Vec<usize> = order.into_iter().flatten().collect();
        for column in (0..table.head.len()).filter(|column| *column != model) {
            let all = table.numbers(column)?;
            let accuracy = order.iter().map(|row| all[*row]).collect();
            self.add(&table.head[column], accuracy);
        }
        Ok(())
    }

    fn add(&mut self, task: &str, accuracy: Vec<f64>) {
        self.targets.push(Target::new(task, accuracy));
        self.items.push(None);
        self.errors.push(None);
    }

    fn take_meta(&mut self, table: &Table) -> Result<()> {
        let order = self.order(table, "sizes")?;
        if let Some(missing) = order.iter().position(Option::is_none) {
            return Err(table.wrong(format!("model {} has no line", self.names[missing]), "give every model a line"));
        }
        let order: Vec<usize> = order.into_iter().flatten().collect();
        let pick = |all: Vec<f64>| order.iter().map(|row| all[*row]).collect::<Vec<_>>();
        if let Some(column) = table.find(&["params", "parameters", "n"]) {
            self.params = Some(pick(table.numbers(column)?));
        }
        if let Some(column) = table.find(&["tokens", "d"]) {
            self.tokens = Some(pick(table.numbers(column)?));
        }
        if let Some(column) = table.find(&["family", "data"]) {
            let all = table.texts(column);
            self.families = Some(order.iter().map(|row| all[*row].clone()).collect());
        }
        Ok(())
    }

    /// The table's line of each model; a line that names no model of the losses is an error.
    fn order(&self, table: &Table, what: &str) -> Result<Vec<Option<usize>>> {
        let column = table
            .find(&["model"])
            .ok_or_else(|| table.wrong("it has no column `model`", "name the column of the models' names `model`"))?;
        let mut lines: HashMap<String, usize> = HashMap::new();
        for (row, name) in table.texts(column).into_iter().enumerate() {
            if !self.names.contains(&name) {
                let problem = format!("{what} of {name}, of which no losses are known");
                let known = self.names.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if self.names.len() > 6 { ", …" } else { "" };
                return Err(
                    table.wrong(problem, &format!("score it first, or take the line out; known are {known}{more}"))
                );
            }
            if lines.insert(name.clone(), row).is_some() {
                return Err(table.wrong(format!("model {name} has two lines"), "keep one of them"));
            }
        }
        Ok(self.names.iter().map(|name| lines.get(name).copied()).collect())
    }

    /// Keeps the models of which something is known.
    fn keep(&mut self, known: &[Option<usize>], why: &str) -> Result<()> {
        let (kept, left): (Vec<usize>, Vec<usize>) = (0..self.names.len()).partition(|m| known[*m].is_some());
        if left.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = left.iter().map(|m| self.names[*m].as_str()).collect();
        self.notes.push(format!("{} left out, {why}: {}", left.len(), names.join(", ")));
        let rows = kept.iter().flat_map(|m| self.losses.row(*m).to_vec()).collect();
        self.names = kept.iter().map(|m| self.names[*m].clone()).collect();
        self.losses = Losses::new(kept.len(), self.losses.columns(), rows)?.named(self.names.clone())?;
        for list in [&mut self.params, &mut self.tokens] {
            *list = list.take().map(|list| kept.iter().map(|m| list[*m]).collect());
        }
        self.families = self.families.take().map(|list| kept.iter().map(|m| list[*m].clone()).collect());
        Ok(())
    }

    fn choose(&mut self, tasks: &[String]) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut chosen = Vec::new();
        for name in tasks {
            let at = self.targets.iter().position(|target| target.task == *name).ok_or_else(|| {
                let known = self.targets.iter().map(|target| target.task.as_str()).collect::<Vec<_>>().join(", ");
                Error::Nothing {
                    problem: format!("no accuracies of a task {name}"),
                    hint: format!("known tasks: {known}"),
                }
            })?;
            chosen.push(self.targets[at].clone());
        }
        (self.items, self.errors) = (vec![None; chosen.len()], vec![None; chosen.len()]);
        self.targets = chosen;
        Ok(())
    }

    fn take_items(&mut self, items: &str) -> Result<()> {
        if let Ok(number) = items.parse::<usize>() {
            if number == 0 {
                return Err(Error::Nothing {
                    problem: "a task of 0 items has no accuracy".into(),
                    hint: "give --items of 1 or more".into(),
                });
            }
            self.items = vec![Some(number); self.targets.len()];
        } else {
            let table = Table::read(Path::new(items))?;
            let columns = table.find(&["task"]).zip(table.find(&["items"]));
            let (task, count) =
                columns.ok_or_else(|| table.wrong("it has no columns `task` and `items`", "name them so"))?;
            let counts: HashMap<String, f64> = table.texts(task).into_iter().zip(table.numbers(count)?).collect();
            let of = |target: &Target| counts.get(&target.task).map(|count| *count as usize).filter(|count| *count > 0);
            self.items = self.targets.iter().map(of).collect();
        }
        let errors = |(target, items): (&Target, &Option<usize>)| target.clone().with_items((*items)?).errors;
        self.errors = self.targets.iter().zip(&self.items).map(errors).collect();
        Ok(())
    }
}

impl Material {
    /// The losses of a matrix; accuracies are not known yet.
    pub fn of_matrix(matrix: &Matrix) -> Result<Self> {
        let mut columns = Vec::new();
        for (text, of) in matrix.columns.iter().enumerate() {
            let mut begin = 0;
            for end in &of.ends {
                columns.push((text, begin, *end));
                begin = *end;
            }
        }
        let domains = columns.iter().map(|(text, ..)| matrix.texts[*text].domain.clone()).collect();
        Ok(Self {
            names: matrix.models.iter().map(|row| row.name.clone()).collect(),
            losses: matrix.losses()?,
            targets: Vec::new(),
            items: Vec::new(),
            errors: Vec::new(),
            params: matrix.models.iter().map(|row| row.parameters.map(|n| n as f64)).collect(),
            tokens: None,
            families: None,
            domains,
            places: Some(Places { texts: matrix.texts.to_vec(), columns }),
            notes: Vec::new(),
        })
    }
}

/// Losses of `lyceum score`.
fn of_folder(folder: &Path) -> Result<Material> {
    if !folder.join("matrix.json").is_file() {
        return Err(Error::Nothing {
            problem: format!("{} holds no losses", folder.display()),
            hint: "make some with `lyceum score TEXTS --model M --out DIR`, or give a CSV file".into(),
        });
    }
    Material::of_matrix(&Matrix::read(folder)?)
}

/// A table of models and a few losses. Where columns are called `loss:NAME`, those are the losses, and
/// columns of sizes (`params`, `tokens`, `family`, or `n`, `d`, `data`) and tasks may stand beside them,
/// as in the published tables; else every column of numbers is a loss.
fn of_table(path: &Path) -> Result<Material> {
    let table = Table::read(path)?;
    let mut losses: Vec<usize> = (0..table.head.len()).filter(|c| table.head[*c].starts_with(LOSS)).collect();
    let named = !losses.is_empty();
    let sizes =
        [table.find(&["params", "parameters", "n"]), table.find(&["tokens", "d"]), table.find(&["family", "data"])];
    let model = table.find(&["model"]);
    let special = |column: &usize| sizes.contains(&Some(*column)) || model == Some(*column);
    if !named {
        losses = (0..table.head.len()).filter(|c| !special(c) && table.is_number(*c)).collect();
    }
    let Some(first) = losses.first().copied() else {
        return Err(table.wrong("it has no column of losses", "name columns of losses `loss:NAME`"));
    };
    let numbers = losses.iter().map(|c| table.numbers(*c)).collect::<Result<Vec<_>>>()?;
    let models = table.len();
    let values = (0..models).flat_map(|m| numbers.iter().map(move |column| column[m] as f32)).collect();
    let names = names(&table, model, first, &sizes)?;
    let mut material = Material {
        losses: Losses::new(models, losses.len(), values)?.named(names.clone())?,
        names,
        targets: Vec::new(),
        items: Vec::new(),
        errors: Vec::new(),
        params: sizes[0].map(|c| table.numbers(c)).transpose()?,
        tokens: sizes[1].map(|c| table.numbers(c)).transpose()?,
        families: sizes[2].map(|c| table.texts(c)),
        domains: losses.iter().map(|c| table.head[*c].trim_start_matches(LOSS).to_string()).collect(),
        places: None,
        notes: Vec::new(),
    };
    if named {
        // What stands behind the losses are tasks; what stands before them tells of the models.
        for column in (first..table.head.len()).filter(|c| !losses.contains(c) && !special(c)) {
            material.add(&table.head[column], table.numbers(column)?);
        }
    }
    Ok(material)
}

/// The column `model`, where it tells the models apart; else all columns before the losses but sizes.
fn names(table: &Table, model: Option<usize>, first: usize, sizes: &[Option<usize>; 3]) -> Result<Vec<String>> {
    let apart = |names: &[String]| names.iter().collect::<std::collections::HashSet<_>>().len() == names.len();
    if let Some(names) = model.map(|column| table.texts(column)).filter(|names| apart(names)) {
        return Ok(names);
    }
    let telling = (0..first).filter(|c| !sizes[..2].contains(&Some(*c)));
    let parts: Vec<Vec<String>> = telling.map(|c| table.texts(c)).collect();
    let name = |m: usize| parts.iter().map(|part| part[m].as_str()).collect::<Vec<_>>().join("/");
    let names: Vec<String> = (0..table.len()).map(name).collect();
    match apart(&names) {
        true => Ok(names),
        false => Err(table.wrong("two lines have the same model", "give each model a name of its own in `model`")),
    }
}
