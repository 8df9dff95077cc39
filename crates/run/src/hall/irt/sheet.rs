//! The page, and the same in lines for a terminal.

use record::Manifest;
use report::{Section, Sheet, Table};

use super::graders::Graders;
use super::pictures::Picture;
use super::record::{Analysis, Dif, ItemLine};
use exam::gaokao::{Gaokao, Null};

/// The page's record.
pub(super) fn sheet(analysis: &Analysis, pictures: &[Picture], manifest: Manifest) -> Sheet {
    let mut sheet = Sheet::new("Persons and items on one scale", headline(analysis));
    sheet.read = vec![
        (analysis.persons.len() as u64, "persons".into()),
        (analysis.items.len() as u64, "items".into()),
        (analysis.responses as u64, "responses".into()),
        (analysis.aside.len() as u64, "set aside".into()),
    ];
    sheet.notes = notes(analysis);
    let mut sections = Vec::new();
    if let Some(paper) = &analysis.paper {
        sections.extend(of_paper(paper));
    }
    if !analysis.proper.is_empty() {
        sections.push(with(Section::new("Is a score ability?"), &analysis.proper));
    }
    sections.push(persons(analysis));
    sections.push(items(analysis));
    sections.push(curves(analysis));
    sections.push(fit_of_items(analysis));
    if pictures.iter().any(|picture| picture.name == "icc") {
        sections.push(Section::new("The least expected item").text(
            "Points are groups of persons of like ability with their standard errors; the line is what the model expects.",
        ));
    }
    sections.push(fit_of_persons(analysis));
    sections.push(tests(analysis));
    sections.extend(local(analysis));
    sections.extend(analysis.dif.as_ref().map(differ));
    sections.extend(analysis.graders.as_ref().map(graders));
    sections.extend(planes(analysis));
    sections.extend(aside(analysis));
    for section in &mut sections {
        if let Some(picture) = pictures.iter().find(|picture| picture.section == section.heading) {
            (section.figure, section.caption) = (Some(picture.bare()), picture.caption());
        }
    }
    sheet.sections = sections;
    sheet.manifest = Some(manifest);
    sheet
}

/// The result in a sentence.
fn headline(analysis: &Analysis) -> String {
    let known: Vec<(&str, f64, f64)> =
        analysis.persons.iter().filter_map(|p| Some((&*p.name, p.theta?, p.error?))).collect();
    let best = known.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let told = match best {
        Some((name, theta, error)) if known.len() <= 60 => {
            // Those whose difference from the best is within what errors allow.
            let tied = known.iter().filter(|(_, t, e)| theta - t < 1.96 * error.hypot(*e)).count().saturating_sub(1);
            let tie = match tied {
                0 => String::new(),
                1 => "; 1 other person is not told apart from it".into(),
                n => format!("; {n} other persons are not told apart from it"),
            };
            format!("{name} stands highest, at θ = {} ± {}{tie}", f2(*theta), f2(*error))
        }
        _ => format!("Ability has mean {} and deviation {}", f2(analysis.population.0), f2(analysis.population.1)),
    };
    let reliability =
        analysis.reliability.last().map_or(String::new(), |r| format!(", reliability {:.2}", r.reliability));
    format!(
        "{told} ({} persons, {} items, {} by {}{reliability}).",
        thousands(analysis.persons.len()),
        thousands(analysis.items.len()),
        analysis.model,
        analysis.method
    )
}

fn notes(analysis: &Analysis) -> Vec<String> {
    let mut notes: Vec<String> = analysis.why.iter().map(|why| format!("Model: {why}.")).collect();
    notes.push(format!("Scale: {}.", analysis.scale));
    if analysis.parts.len() > 1 {
        let part = |part: &exam::scored::NamedPart| {
            format!("{} with {} ({} responses)", some(&part.persons), some(&part.items), part.responses)
        };
        let named: Vec<String> = analysis.parts.iter().map(part).collect();
        notes.push(format!(
            "The design falls into {} parts that no common person or item connects: {}. The first one was fitted; give the logs \
             of another alone to fit that.",
            analysis.parts.len(),
            named.join("; ")
        ));
    }
    let joined: Vec<String> =
        analysis.items.iter().filter(|i| i.how == exam::scored::How::Joined).map(|i| i.id.clone()).collect();
    if !joined.is_empty() {
        notes.push(format!(
            "Nobody reached some score of {} ({}): a score that was never given is joined with the one below.",
            plural(joined.len(), "item"),
            some(&joined)
        ));
    }
    let cut = analysis.items.iter().filter(|i| i.how == exam::scored::How::Cut).count();
    if cut > 0 {
        notes.push(format!(
            "Scores of {} were no whole steps and were cut into classes (column cuts of items.csv).",
            plural(cut, "item")
        ));
    }
    let alike = analysis.aside.iter().filter(|a| a.what == "item").count();
    let persons = analysis.aside.len() - alike;
    if alike + persons > 0 {
        notes.push(format!(
            "Set aside, each by name at the end: {}, {}.",
            plural(alike, "item"),
            plural(persons, "person")
        ));
    }
    let extreme: Vec<String> =
        analysis.persons.iter().filter_map(|p| p.extreme.map(|how| format!("{} ({how})", p.name))).collect();
    if !extreme.is_empty() {
        notes.push(format!(
            "Persons at an end of the scale: {}. Their ability is finite by Warm's estimate or the prior alone.",
            some(&extreme)
        ));
    }
    notes.extend(analysis.notes.iter().map(|note| format!("{}.", capital(note.trim_end_matches('.')))));
    notes.extend(analysis.reading.iter().take(12).map(|note| format!("Reading: {note}.")));
    notes
}

fn persons(analysis: &Analysis) -> Section {
    let mut order: Vec<_> = analysis.persons.iter().collect();
    order.sort_by(|a, b| b.theta.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.theta.unwrap_or(f64::NEG_INFINITY)));
    let rows = order.iter().map(|p| {
        vec![
            p.name.clone(),
            p.n.to_string(),
            format!("{:.1} %", 100.0 * p.rate),
            either(p.theta, p.error),
            either(p.posterior, p.deviation),
            p.extreme.unwrap_or_default().into(),
        ]
    });
    let columns =
        ["person", "answered", "marks", "θ ± SE (WLE)", &*format!("θ ± SD ({})", analysis.posterior_name), "remark"];
    Section::new("Persons")
        .text(
            "Higher is abler. θ by Warm's weighted likelihood with its standard error; beside it by the posterior, which pulls \
             towards the mean of all.",
        )
        .table(Table::new(columns, rows.collect()).file("persons.csv"))
}

fn items(analysis: &Analysis) -> Section {
    let mut order: Vec<&ItemLine> = analysis.items.iter().collect();
    order.sort_by(|a, b| b.difficulty().total_cmp(&a.difficulty()));
    let first = analysis.items.first();
    let slopes = analysis.items.iter().any(|i| first.is_some_and(|first| (i.slope - first.slope).abs() > 1e-9));
    let rows = order.iter().map(|i| {
        let mut row = vec![
            i.id.clone(),
            i.n.to_string(),
            format!("{:.1} %", 100.0 * i.mean),
            either(Some(i.difficulty()), i.difficulty_error()),
        ];
        if slopes {
            row.push(either(Some(i.slope), i.slope_error));
        }
        row.push(i.point_biserial.map_or_else(dash, f2));
        row
    });
    let mut columns = vec!["item", "answered by", "marks", "difficulty ± SE"];
    if slopes {
        columns.push("slope ± SE");
    }
    columns.push("r with the rest");
    let common = first.filter(|_| !slopes).map_or(String::new(), |i| {
        let error = i.slope_error.map_or(String::new(), |error| format!(" ± {error:.4}"));
        format!(" The slope is {:.4}{error} in all.", i.slope)
    });
    Section::new("Items")
        .text(format!(
            "Hardest first. An item of two steps or more shows the mean of its steps; items.csv has each. Errors: {}.{common}",
            analysis.errors_how
        ))
        .table(Table::new(columns, rows.collect()).file("items.csv"))
}

fn curves(analysis: &Analysis) -> Section {
    let best = analysis.information.iter().max_by(|a, b| a[1].total_cmp(&b[1])).copied().unwrap_or([0.0; 3]);
    let rows = analysis
        .reliability
        .iter()
        .map(|r| vec![r.estimator.clone(), format!("{:.3}", r.reliability), f2(r.separation), r.n.to_string()]);
    Section::new("How exact the test is")
        .text(format!(
            "The test says most about persons near θ = {}, whose standard error is {}.",
            f2(best[0]),
            f2(best[2])
        ))
        .table(Table::new(["estimator", "reliability", "separation", "n"], rows.collect()))
}

fn fit_of_items(analysis: &Analysis) -> Section {
    let mut order: Vec<&ItemLine> = analysis.items.iter().filter(|i| i.fit.is_some()).collect();
    let far = |i: &&ItemLine| i.fit.map_or(0.0, |f| (f.outfit_t.abs()).max(f.infit_t.abs()));
    order.sort_by(|a, b| far(b).total_cmp(&far(a)));
    let rows = order.iter().filter_map(|i| {
        let f = i.fit?;
        Some(vec![
            i.id.clone(),
            format!("{} ({})", f2(f.infit), f1(f.infit_t)),
            format!("{} ({})", f2(f.outfit), f1(f.outfit_t)),
            i.s_x2.map_or_else(dash, |t| format!("{:.1} on {:.0}", t.statistic, t.df)),
            i.s_x2_adjusted.map_or_else(dash, p_value),
            f.n.to_string(),
        ])
    });
    let tested = analysis.items.iter().filter(|i| i.s_x2_adjusted.is_some()).count();
    let bad = analysis.items.iter().filter(|i| i.s_x2_adjusted.is_some_and(|p| p < 0.05)).count();
    let found = match tested {
        0 => "S-X² could not be had.".to_string(),
        n => format!("S-X² rejects {bad} of {n} items at 5 % after the number of items is allowed for."),
    };
    Section::new("Fit of items")
        .text(format!(
            "Least expected first. Mean squares are 1 where responses vary about the curve as they should, above 1 where they \
             vary more; t in brackets. {found}"
        ))
        .table(Table::new(["item", "infit (t)", "outfit (t)", "S-X²", "adjusted p", "n"], rows.collect()).file("items.csv"))
}

fn fit_of_persons(analysis: &Analysis) -> Section {
    let mut order: Vec<_> = analysis.persons.iter().filter(|p| p.l_z.is_some()).collect();
    order.sort_by(|a, b| a.l_z.unwrap_or(0.0).total_cmp(&b.l_z.unwrap_or(0.0)));
    let rows = order.iter().map(|p| {
        let square = |pick: fn(&irt::MeanSquare) -> (f64, f64)| {
            p.fit.as_ref().map(pick).map_or_else(dash, |(m, t)| format!("{} ({})", f2(m), f1(t)))
        };
        vec![
            p.name.clone(),
            p.l_z.map_or_else(dash, f2),
            p.p.map_or_else(dash, p_value),
            square(|f| (f.infit, f.infit_t)),
            square(|f| (f.outfit, f.outfit_t)),
        ]
    });
    Section::new("Fit of persons")
        .text(
            "Least expected first. l_z* is standard normal for a person who answers as the model says, and far below 0 for one \
             who gets hard items right and easy ones wrong. The figure shows one person's answers by difficulty.",
        )
        .table(Table::new(["person", "l_z*", "adjusted p", "infit (t)", "outfit (t)"], rows.collect()).file("persons.csv"))
}

fn tests(analysis: &Analysis) -> Section {
    let rows = analysis.tests.iter().map(|whole| {
        let test = whole.test;
        vec![
            whole.name.clone(),
            whole.asks.clone(),
            test.map_or_else(dash, |t| format!("{:.2} on {:.0}", t.statistic, t.df)),
            test.map_or_else(dash, |t| p_value(t.p)),
            whole.detail.clone(),
        ]
    });
    let mut section = Section::new("Does the model hold?");
    if let (Some(likelihood), Some(aic), Some(bic)) = (analysis.log_likelihood, analysis.aic, analysis.bic) {
        section = section.text(format!(
            "Marginal log-likelihood {} with {} free numbers; AIC {}, BIC {}.",
            decimals(likelihood, 3),
            analysis.parameters,
            f1(aic),
            f1(bic)
        ));
    }
    section.table(Table::new(["test", "question", "χ²", "p", "detail"], rows.collect()))
}

fn local(analysis: &Analysis) -> Option<Section> {
    let q3 = analysis.q3.as_ref()?;
    let rows = q3.high.iter().map(|(a, b, q)| vec![a.clone(), b.clone(), f2(*q)]);
    let mut section = Section::new("What the model leaves over").text(format!(
        "Residuals of {} pairs of items correlate at {} on average (Q3); {} lie more than 0.2 above that, and ask for more than \
         the common ability.",
        thousands(q3.pairs),
        decimals(q3.mean, 3),
        plural(q3.count, "pair")
    ));
    if !analysis.contrasts.is_empty() {
        let one = |(at, c): (usize, &super::record::Contrast)| {
            let ends: Vec<String> = c.ends.iter().map(|(id, loading)| format!("{id} {}", f2(*loading))).collect();
            format!("{}: {} items ({})", at + 1, f2(c.eigenvalue), ends.join(", "))
        };
        let all: Vec<String> = analysis.contrasts.iter().enumerate().map(one).collect();
        section =
            section.text(format!("Contrasts of the residuals, with the items at their ends: {}.", all.join("; ")));
    }
    let table = Table::new(["item", "item", "Q3"], rows.collect());
    Some(if q3.high.is_empty() { section } else { section.table(table.file("analysis.json")) })
}

fn differ(dif: &Dif) -> Section {
    let mut order: Vec<_> = dif.lines.iter().collect();
    let far = |line: &super::DifLine| line.delta.map_or(-1.0, f64::abs);
    order.sort_by(|a, b| far(b).total_cmp(&far(a)));
    let rows = order.iter().map(|l| {
        vec![
            l.id.clone(),
            l.class.map_or_else(dash, |class| format!("{class:?}")),
            either(l.delta, l.error),
            l.p.map_or_else(dash, p_value),
            l.uniform.map_or_else(dash, f2),
            l.p_uniform.map_or_else(dash, p_value),
            l.p_nonuniform.map_or_else(dash, p_value),
            either(l.difference, l.difference_error),
            l.p_wald.map_or_else(dash, p_value),
        ]
    });
    let found = |pick: fn(&super::DifLine) -> Option<f64>| {
        let known: Vec<f64> = dif.lines.iter().filter_map(pick).collect();
        format!("{} of {}", known.iter().filter(|p| **p < 0.05).count(), known.len())
    };
    let mut section = Section::new("Items that favour a group").text(format!(
        "By {}: {:?} ({} persons) is the reference, {:?} ({} persons) the focal group. Among persons of equal score, a Δ below 0 \
         says that the item is harder for the focal group; A is negligible, B moderate, C large. At a false-discovery rate of \
         5 %: {} items by Mantel–Haenszel, {} by logistic regression (uniform), {} (changing with the score), {} by Wald.",
        dif.column,
        dif.reference.0,
        dif.reference.1,
        dif.focal.0,
        dif.focal.1,
        found(|l| l.p),
        found(|l| l.p_uniform),
        found(|l| l.p_nonuniform),
        found(|l| l.p_wald)
    ));
    section = with(section, &dif.notes);
    let columns = ["item", "class", "Δ ± SE", "p", "logistic", "p", "p (by score)", "Wald ± SE", "p"];
    section.table(Table::new(columns, rows.collect()).file("analysis.json"))
}

fn graders(graders: &Graders) -> Section {
    let mut order: Vec<_> = graders.lines.iter().collect();
    order.sort_by(|a, b| b.severity.total_cmp(&a.severity));
    let several = order.iter().any(|l| l.subset.is_some_and(|s| s > 0));
    let rows = order.iter().map(|l| {
        let mut row = vec![
            l.name.clone(),
            either(Some(l.severity), Some(l.error)),
            f2(l.observed),
            f2(l.fair),
            f2(l.infit),
            f2(l.outfit),
            l.n.to_string(),
        ];
        if several {
            row.push(l.subset.map_or_else(dash, |s| (s + 1).to_string()));
        }
        row
    });
    let agreement = match (graders.alpha, graders.icc) {
        (Some(alpha), Some((single, mean))) => format!(
            "Krippendorff's α is {alpha:.2} on {} answers that two or more marked; ICC {single:.2} of one grader, {mean:.2} of the \
             mean of all.",
            graders.common
        ),
        (Some(alpha), None) => {
            format!("Krippendorff's α is {alpha:.2} on {} answers that two or more marked.", graders.common)
        }
        _ => "No two graders marked the same answer, or marks do not vary: agreement is not known.".into(),
    };
    let mut columns = vec!["grader", "severity ± SE", "mean mark", "fair mark", "infit", "outfit", "marks"];
    if several {
        columns.push("subset");
    }
    let section = Section::new("Graders")
        .text(format!(
            "Many-facet Rasch model of {} marks in {} categories: severity is in logits, higher gives lower marks; the fair mark is \
             the mean that the same answers would get from a grader of mean severity. All equally severe: {}. {agreement}",
            thousands(graders.marks),
            graders.categories,
            p_value(graders.all_equal)
        ));
    with(section, &graders.notes).table(Table::new(columns, rows.collect()).file("analysis.json"))
}

fn planes(analysis: &Analysis) -> Option<Section> {
    let planes = analysis.planes.as_ref()?;
    let rows = planes.items.iter().map(|i| {
        let mut row = vec![i.id.clone()];
        row.extend(i.slopes.iter().map(|a| f2(*a)));
        row.extend([f2(i.discrimination), f2(i.difficulty)]);
        row
    });
    let mut columns = vec!["item".to_string()];
    columns.extend((1..=planes.abilities).map(|d| format!("slope {d}")));
    columns.extend(["discrimination".into(), "difficulty".into()]);
    let says = if planes.bic.0 < planes.bic.1 {
        "several abilities describe the responses better"
    } else {
        "one ability is enough"
    };
    Some(
        Section::new("Several abilities at once")
            .text(format!(
                "{} abilities, every slope free but for the rotation: log-likelihood {} with {} free numbers, BIC {} against {} of one \
                 ability ({}): {says}.{}",
                planes.abilities,
                decimals(planes.log_likelihood, 3),
                planes.parameters,
                f1(planes.bic.0),
                f1(planes.bic.1),
                analysis.model,
                if planes.converged { "" } else { " The fit had not converged." }
            ))
            .table(Table::new(columns, rows.collect()).file("analysis.json")),
    )
}

fn aside(analysis: &Analysis) -> Option<Section> {
    let rows: Vec<Vec<String>> = analysis
        .aside
        .iter()
        .map(|a| vec![a.what.clone(), a.name.clone(), a.responses.to_string(), a.why.clone()])
        .collect();
    (!rows.is_empty()).then(|| {
        Section::new("What could not be estimated")
            .table(Table::new(["what", "name", "responses", "why"], rows).file("analysis.json"))
    })
}

fn of_paper(paper: &Gaokao) -> Vec<Section> {
    let mut meaning = paper.meaning();
    let warned: Vec<String> = paper.warnings.iter().map(|w| format!("Careful: {w}.")).collect();
    meaning.splice(0..0, warned);
    let rows = paper.discrepancies.iter().map(|d| {
        vec![
            d.name.clone(),
            decimals(d.observed, 3),
            null(d.simulated),
            d.simulated.map_or_else(dash, |n| p_value(n.p)),
            null(d.permuted),
            d.permuted.map_or_else(dash, |n| p_value(n.p)),
            format!("{} / {} of {}", d.control_simulated, d.control_permuted, d.controls),
            d.n.to_string(),
        ]
    });
    let columns = ["discrepancy", "observed", "pupils of the curve", "p", "permuted", "p", "control", "n"];
    let found = with(Section::new("Do high scores mean ability? As the paper asks"), &meaning)
        .table(Table::new(columns, rows.collect()).file("analysis.json"));
    let rows = paper.consistency.iter().map(|c| {
        vec![
            c.person.clone(),
            c.subject.clone(),
            c.kind.clone(),
            format!("{} [{}, {}]", f2(c.r), f2(c.interval.0), f2(c.interval.1)),
            null(c.simulated),
            c.simulated.map_or_else(dash, |n| p_value(n.p)),
            c.n.to_string(),
        ]
    });
    let columns = ["person", "subject", "type", "r [95 %]", "pupils of the curve", "p", "items"];
    let correlations = Section::new("Difficulty and score rate")
        .text("Pearson's r of difficulty and score rate; p against pupils of the curve, not adjusted for the number of rows.")
        .table(Table::new(columns, rows.collect()).file("analysis.json"));
    let rows = paper.curves.iter().map(|c| {
        let p = |at: usize| c.simulated[at].map_or_else(dash, |n| p_value(n.p));
        vec![
            c.person.clone(),
            f2(c.theta),
            f2(c.slope),
            format!("{} ({})", f2(c.r2), p(0)),
            format!("{} ({})", f2(c.spread), p(1)),
            format!("{:.1} % ({})", 100.0 * c.beyond, p(2)),
            c.n.to_string(),
        ]
    });
    let columns =
        ["person", "θ", "slope", "R² (p)", "deviation at similar difficulty (p)", "off the curve (p)", "items"];
    let curves = Section::new("The curve of each model")
        .text("Eq. 1 fitted to each model's score rates by least squares; p against pupils of the curve.")
        .table(Table::new(columns, rows.collect()).file("analysis.json"));
    vec![found, correlations, curves]
}

/// What a terminal shows.
pub(super) fn text(analysis: &Analysis) -> String {
    let mut sheet = Sheet::new("irt", headline(analysis));
    sheet.read = vec![
        (analysis.persons.len() as u64, "persons".into()),
        (analysis.items.len() as u64, "items".into()),
        (analysis.responses as u64, "responses".into()),
        (analysis.aside.len() as u64, "set aside".into()),
    ];
    sheet.notes = notes(analysis);
    if let Some(paper) = &analysis.paper {
        sheet.sections.extend(of_paper(paper).into_iter().take(1));
    }
    sheet.sections.extend([persons(analysis), items(analysis), tests(analysis)]);
    sheet.sections.extend(analysis.dif.as_ref().map(differ));
    sheet.sections.extend(analysis.graders.as_ref().map(graders));
    sheet.sections.extend(planes(analysis));
    sheet.sections.extend(aside(analysis));
    report::sheet_text(&sheet)
}

fn with(mut section: Section, paragraphs: &[String]) -> Section {
    section.text.extend(paragraphs.iter().map(|p| capital(p)));
    section
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn null(null: Option<Null>) -> String {
    null.map_or_else(dash, |n| format!("{} [{}, {}]", decimals(n.mean, 3), decimals(n.low, 3), decimals(n.high, 3)))
}

fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(6).map(|name| &**name).collect();
    let more = names.len().saturating_sub(6);
    shown.join(", ") + &if more > 0 { format!(" and {} more", thousands(more)) } else { String::new() }
}

fn plural(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn dash() -> String {
    "—".into()
}

fn either(value: Option<f64>, error: Option<f64>) -> String {
    match (value, error) {
        (Some(value), Some(error)) if error.is_finite() => format!("{} ± {}", f2(value), f2(error)),
        (Some(value), _) => f2(value),
        _ => dash(),
    }
}

/// With a true minus sign; −0.00 is 0.00.
pub(super) fn decimals(x: f64, places: usize) -> String {
    if !x.is_finite() {
        return dash();
    }
    let text = format!("{:.places$}", x.abs());
    let zero = text.chars().all(|c| c == '0' || c == '.');
    if x < 0.0 && !zero { format!("\u{2212}{text}") } else { text }
}

fn f2(x: f64) -> String {
    decimals(x, 2)
}

fn f1(x: f64) -> String {
    decimals(x, 1)
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}
