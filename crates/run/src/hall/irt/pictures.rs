//! What the figures are drawn of.

use exam::gaokao::Gaokao;
use exam::scored::Scored;
use irt::dif::EtsClass;
use plot::{
    Answered, Curves, Figure, Forest, Information, Kidmap, Line, Matrix, Measure, Observed, Pathway, Severity, Wright,
    curves, forest, information, kidmap, matrix, pathway, severity, wright,
};

use super::fitted::Fitted;
use super::graders::Graders;
use super::record::{Analysis, Dif, ItemLine};
use crate::{Error, Result};

/// A picture of the page, which is a file too.
pub(super) struct Picture {
    /// Name of its file, without ending.
    pub name: &'static str,
    /// Heading of the section that it stands in.
    pub section: &'static str,
    figure: Figure,
}

/// Width of a PNG in pixels.
const WIDTH: u32 = 1440;

impl Picture {
    pub(super) fn svg(&self) -> String {
        self.figure.svg()
    }

    /// Without the words that the page says itself.
    pub(super) fn bare(&self) -> String {
        self.figure.bare()
    }

    pub(super) fn caption(&self) -> String {
        format!("{}. {}", self.figure.title(), self.figure.caption())
    }

    pub(super) fn png(&self) -> Result<Vec<u8>> {
        Ok(self.figure.png(WIDTH)?)
    }
}

/// All figures that there is something to draw for.
pub(super) fn pictures(
    scored: &Scored,
    fitted: &Fitted,
    analysis: &Analysis,
    asked: Option<&str>,
) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    let mut add = |name, section, figure: plot::Result<Figure>| {
        // A picture of nothing is left out: the table says that there is nothing.
        if let Ok(figure) = figure {
            pictures.push(Picture { name, section, figure });
        }
    };
    let unit = "θ";
    let placed = |item: &ItemLine| Measure::new(&item.id, item.difficulty(), item.difficulty_error().unwrap_or(0.0));
    let able = analysis.persons.iter().filter_map(|p| Some(Measure::new(&p.name, p.theta?, p.error?)));
    let map = Wright {
        title: "Persons and items on one scale".into(),
        unit: unit.into(),
        persons: able.collect(),
        items: analysis.items.iter().map(placed).collect(),
    };
    add("wright", "Persons", wright(&map));
    add("curves", "Items", curves(&all_items(fitted, analysis)));
    if let Some((at, least)) = least_expected(analysis) {
        add("icc", "The least expected item", curves(&one_item(scored, fitted, at, least)));
    }
    let test = Information {
        title: "What the test says about each ability".into(),
        x_title: "Ability θ".into(),
        x: analysis.information.iter().map(|at| at[0]).collect(),
        information: analysis.information.iter().map(|at| at[1]).collect(),
        persons: analysis.persons.iter().filter_map(|p| p.theta).collect(),
        note: format!("{} items, {}.", analysis.items.len(), analysis.model),
    };
    add("information", "How exact the test is", information(&test));
    add("pathway", "Fit of items", pathway(&path(analysis)));
    if let Some(paper) = &analysis.paper {
        add("heat", "Difficulty and score rate", matrix(&heat(paper)));
    }
    if let Some(dif) = &analysis.dif {
        add("dif", "Items that favour a group", forest(&favours(dif)));
    }
    if let Some(found) = &analysis.graders {
        add("severity", "Graders", severity(&severe(found)));
    }
    if let Some(map) = answers(scored, fitted, analysis, asked)? {
        add("kidmap", "Fit of persons", kidmap(&map));
    }
    Ok(pictures)
}

/// Expected score of each item, as a share of its steps.
fn all_items(fitted: &Fitted, analysis: &Analysis) -> Curves {
    let x: Vec<f64> = analysis.information.iter().map(|at| at[0]).collect();
    let line = |(at, item): (usize, &ItemLine)| {
        let steps = item.cuts.len() as f64;
        Line { label: item.id.clone(), y: x.iter().map(|t| fitted.fit.expected(at, *t) / steps).collect(), band: None }
    };
    // More lines than this are a grey field, and a page of them is slow.
    const MOST: usize = 120;
    let step = analysis.items.len().div_ceil(MOST);
    let shown = || analysis.items.iter().enumerate().step_by(step);
    let note = match step {
        1 => String::new(),
        n => format!("One item of {n} is drawn."),
    };
    Curves {
        title: "Expected score of each item".into(),
        x_title: "Ability θ".into(),
        y_title: "Share of the item's marks".into(),
        most: 1.0,
        lines: shown().map(line).collect(),
        observed: Vec::new(),
        note,
        x,
    }
}

fn path(analysis: &Analysis) -> Pathway {
    let point = |item: &ItemLine| {
        let (measure, error) = (item.difficulty(), item.difficulty_error().unwrap_or(0.0));
        Some(plot::Fit { label: item.id.clone(), measure, error, t: item.fit?.infit_t })
    };
    Pathway {
        title: "Fit of items along the scale".into(),
        statistic: "infit".into(),
        what: "items".into(),
        unit: "θ".into(),
        points: analysis.items.iter().filter_map(point).collect(),
    }
}

/// Score rate of each person in each class of difficulty.
fn heat(paper: &Gaokao) -> Matrix {
    Matrix {
        title: "Score rate by difficulty".into(),
        rows: paper.names.clone(),
        columns: paper.classes.iter().map(|class| format!("{class:.1}")).collect(),
        values: paper
            .heat
            .iter()
            .map(|row| row.iter().map(|cell| cell.map_or(f64::NAN, |(rate, _)| rate)).collect())
            .collect(),
        decimals: 2,
        note: format!(
            "Columns are middles of classes of difficulty; {} items, {} answers.",
            paper.items, paper.responses
        ),
    }
}

fn favours(dif: &Dif) -> Forest {
    let row = |line: &super::DifLine| {
        let (value, error) = (line.delta?, line.error?);
        let class = line.class.map(|class| match class {
            EtsClass::A => plot::Class::A,
            EtsClass::B => plot::Class::B,
            EtsClass::C => plot::Class::C,
        });
        let reach = 1.959_964 * error;
        Some(plot::Row { label: line.id.clone(), value, low: value - reach, high: value + reach, class })
    };
    let mut rows: Vec<plot::Row> = dif.lines.iter().filter_map(row).collect();
    rows.sort_by(|a, b| a.value.total_cmp(&b.value));
    Forest {
        title: format!("Items that favour {} or {}", dif.reference.0, dif.focal.0),
        x_title: "Mantel–Haenszel Δ (ETS delta units)".into(),
        sides: Some((format!("harder for {}", dif.focal.0), format!("harder for {}", dif.reference.0))),
        ties: Some((-1.0, 1.0)),
        rows,
        note: format!("95 % intervals; {} and {} persons.", dif.reference.1, dif.focal.1),
    }
}

fn severe(found: &Graders) -> Severity {
    let rater = |line: &super::RaterLine| plot::Rater {
        label: line.name.clone(),
        severity: line.severity,
        error: line.error,
        observed: line.observed,
        fair: line.fair,
        n: line.n,
    };
    Severity {
        title: "Severity of graders".into(),
        unit: "logits".into(),
        raters: found.lines.iter().map(rater).collect(),
    }
}

/// The item that lies farthest from what the model expects.
pub(super) fn least_expected(analysis: &Analysis) -> Option<(usize, &ItemLine)> {
    let far = |item: &ItemLine| item.fit.map_or(-1.0, |fit| fit.outfit_t.abs().max(fit.infit_t.abs()));
    let items = analysis.items.iter().enumerate().filter(|(_, item)| item.fit.is_some());
    items.max_by(|a, b| far(a.1).total_cmp(&far(b.1)))
}

/// An item's curve with what groups of like ability got.
fn one_item(scored: &Scored, fitted: &Fitted, at: usize, item: &ItemLine) -> Curves {
    let x: Vec<f64> = {
        let (mean, deviation) = fitted.fit.population;
        (0..=80).map(|i| mean + deviation * (-4.0 + 0.1 * f64::from(i))).collect()
    };
    let mut met: Vec<(f64, f64)> = (0..scored.responses.persons())
        .filter_map(|person| {
            let (_, score) = scored.responses.of(person).find(|(other, _)| *other == at)?;
            Some((fitted.wle[person]?.theta, score as f64))
        })
        .collect();
    met.sort_by(|a, b| a.0.total_cmp(&b.0));
    let groups = (met.len() / 5).clamp(1, 8);
    let group = |g: usize| {
        let own = &met[g * met.len() / groups..(g + 1) * met.len() / groups];
        let n = own.len() as f64;
        let mean = |pick: fn(&(f64, f64)) -> f64| own.iter().map(pick).sum::<f64>() / n;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let square = own.iter().map(|p| (p.1 - y).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Observed { x, y, error: (square / n).sqrt(), n: own.len() }
    };
    let fit = item.fit.map_or(String::new(), |f| format!("infit {:.2}, outfit {:.2}, n = {}.", f.infit, f.outfit, f.n));
    Curves {
        title: format!("{}: expected and observed", item.id),
        x_title: "Ability θ".into(),
        y_title: "Score".into(),
        most: item.cuts.len() as f64,
        lines: vec![Line {
            label: "expected".into(),
            y: x.iter().map(|theta| fitted.fit.expected(at, *theta)).collect(),
            band: None,
        }],
        observed: if met.is_empty() { Vec::new() } else { (0..groups).map(group).collect() },
        note: fit,
        x,
    }
}

/// One person's answers by difficulty: the person that was asked for, or the least expected one.
fn answers(scored: &Scored, fitted: &Fitted, analysis: &Analysis, asked: Option<&str>) -> Result<Option<Kidmap>> {
    let person = match asked {
        Some(name) => match analysis.persons.iter().position(|p| p.name == name) {
            Some(at) => at,
            None => {
                let known: Vec<&str> = analysis.persons.iter().take(8).map(|p| &*p.name).collect();
                return Err(Error::Nothing {
                    problem: format!("--kidmap {name:?}: no such person was fitted"),
                    hint: format!("the persons are {}", known.join(", ")),
                });
            }
        },
        None => {
            let odd = |p: &super::PersonLine| p.l_z.unwrap_or(f64::INFINITY);
            let order = (0..analysis.persons.len())
                .min_by(|a, b| odd(&analysis.persons[*a]).total_cmp(&odd(&analysis.persons[*b])));
            let Some(at) = order else { return Ok(None) };
            at
        }
    };
    let line = &analysis.persons[person];
    let (Some(ability), Some(error)) = (line.theta, line.error) else { return Ok(None) };
    let answered = |(item, score): (usize, usize)| {
        let steps = analysis.items[item].cuts.len() as f64;
        Answered {
            label: analysis.items[item].id.clone(),
            difficulty: analysis.items[item].difficulty(),
            right: score as f64 >= 0.5 * steps,
            expected: fitted.fit.expected(item, ability) / steps,
        }
    };
    Ok(Some(Kidmap {
        title: format!("Answers of {}", line.name),
        unit: "θ".into(),
        ability,
        error,
        items: scored.responses.of(person).map(answered).collect(),
    }))
}
