use super::{Mark, Script};
use crate::paper::{Item, Kind};

/// Marks by rule what a rule can mark: choices, blanks, and steps that say what to look for. None for the
/// rest, which needs a judge or a person.
pub fn rule(item: &Item, script: &Script, place: usize) -> Option<Mark> {
    const NAME: &str = "rule";
    let share = match &item.kind {
        _ if script.is_blank() => return Some(Mark::blank(script, NAME, place)),
        Kind::Single(single) => single.mark(&script.text),
        Kind::Multiple(multiple) => multiple.mark(&script.text),
        Kind::Blank(blank) => blank.mark(&script.text),
        Kind::Open(open) => {
            let parts = open.mark(&script.text)?;
            let points = parts.iter().sum();
            return Some(Mark { parts, ..Mark::new(script, NAME, place, points, "steps whose words are there") });
        }
        Kind::Essay(_) => return None,
    };
    Some(Mark::new(script, NAME, place, share.0 * item.points, share.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::scripts;

    #[test]
    fn each_type_is_marked_by_its_rule() {
        let paper = paper();
        let marked = |item: &str, text: &str| {
            let scripts = scripts(&paper, &[answer("ann", item, text)], 1);
            let script = scripts.iter().find(|s| s.item == item).expect("a script");
            rule(paper.item(item).expect("an item"), script, 0).map(|mark| mark.points.expect("points"))
        };
        assert_eq!((marked("1", "B"), marked("1", "A"), marked("1", "")), (Some(4.0), Some(0.0), Some(0.0)));
        assert_eq!((marked("2", "42.4 m"), marked("2", "43 m")), (Some(5.0), Some(0.0)));
        assert_eq!(marked("3", "Gravity, of course"), Some(4.0));
        assert_eq!((marked("4", "The sea is wide."), marked("4", " ")), (None, Some(0.0)));
    }
}
