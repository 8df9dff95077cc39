//! CSV files of items and persons: numbers with six digits, empty cells for what is not known.

use super::record::Analysis;

/// One line an item.
pub(super) fn items(analysis: &Analysis) -> String {
    let head = "item,subject,kind,n,mean,max,scores,cuts,counts,slope,slope_se,difficulty,difficulty_se,steps,steps_se,lower,\
                upper,point_biserial,infit,infit_t,outfit,outfit_t,s_x2,s_x2_df,s_x2_p,s_x2_p_adjusted,stated_difficulty,\
                anchored";
    let mut lines = vec![head.to_string()];
    for item in &analysis.items {
        let list = |numbers: &[f64]| numbers.iter().map(|x| number(*x)).collect::<Vec<_>>().join(" ");
        let fit = |pick: fn(&irt::MeanSquare) -> f64| cell(item.fit.as_ref().map(pick));
        let how = serde_json::to_value(item.how).ok().and_then(|how| how.as_str().map(str::to_string));
        lines.push(
            [
                text(&item.id),
                text(item.subject.as_deref().unwrap_or_default()),
                text(item.kind.as_deref().unwrap_or_default()),
                item.n.to_string(),
                number(item.mean),
                number(item.max),
                how.unwrap_or_default(),
                list(&item.cuts),
                item.counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" "),
                number(item.slope),
                cell(item.slope_error),
                number(item.difficulty()),
                cell(item.difficulty_error()),
                list(&item.difficulties),
                item.difficulty_errors.as_deref().map(list).unwrap_or_default(),
                number(item.lower),
                number(item.upper),
                cell(item.point_biserial),
                fit(|f| f.infit),
                fit(|f| f.infit_t),
                fit(|f| f.outfit),
                fit(|f| f.outfit_t),
                cell(item.s_x2.map(|t| t.statistic)),
                cell(item.s_x2.map(|t| t.df)),
                cell(item.s_x2.map(|t| t.p)),
                cell(item.s_x2_adjusted),
                cell(item.stated),
                item.anchored.to_string(),
            ]
            .join(","),
        );
    }
    lines.join("\n") + "\n"
}

/// One line a person; those that were set aside stand at the end with their reason.
pub(super) fn persons(analysis: &Analysis) -> String {
    let posterior = analysis.posterior_name.to_lowercase();
    let head = format!(
        "person,base,group,n,raw,most,rate,theta_wle,se_wle,theta_{posterior},sd_{posterior},infit,infit_t,outfit,outfit_t,l_z,\
         l_z_p_adjusted,remark"
    );
    let mut lines = vec![head];
    for person in &analysis.persons {
        let fit = |pick: fn(&irt::MeanSquare) -> f64| cell(person.fit.as_ref().map(pick));
        lines.push(
            [
                text(&person.name),
                text(person.base.as_deref().unwrap_or_default()),
                text(person.group.as_deref().unwrap_or_default()),
                person.n.to_string(),
                person.raw.to_string(),
                person.most.to_string(),
                number(person.rate),
                cell(person.theta),
                cell(person.error),
                cell(person.posterior),
                cell(person.deviation),
                fit(|f| f.infit),
                fit(|f| f.infit_t),
                fit(|f| f.outfit),
                fit(|f| f.outfit_t),
                cell(person.l_z),
                cell(person.p),
                text(person.extreme.unwrap_or_default()),
            ]
            .join(","),
        );
    }
    for aside in analysis.aside.iter().filter(|aside| aside.what == "person") {
        let gaps = ",".repeat(13);
        lines.push(format!("{},,,{}{gaps},{}", text(&aside.name), aside.responses, text(&aside.why)));
    }
    lines.join("\n") + "\n"
}

fn number(x: f64) -> String {
    let text = format!("{x:.6}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".into() } else { short.into() }
}

fn cell(x: Option<f64>) -> String {
    x.filter(|x| x.is_finite()).map(number).unwrap_or_default()
}

fn text(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_texts_are_quoted() {
        assert_eq!([1.5, -0.0, 2.0, 1.0 / 3.0].map(number), ["1.5", "0", "2", "0.333333"]);
        assert_eq!((cell(None), cell(Some(f64::INFINITY))), (String::new(), String::new()));
        assert_eq!(text("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
