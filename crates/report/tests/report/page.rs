use report::{headline, render, text};

use crate::sample::{HOSTILE, report};

#[test]
fn model_text_is_shown_as_text() {
    let page = render(&report());
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains(
        "&lt;script&gt;document.title='hacked'&lt;/script&gt;&lt;img src=x onerror=&quot;hacked()&quot;&gt;"
    ));
    // The same stands in the recipe, as JSON.
    assert!(page.contains(r"&lt;img src=x onerror=\&quot;hacked()\&quot;&gt;"));
}

#[test]
fn the_page_needs_nothing_else() {
    let page = render(&report());
    for outside in ["http://", "https://", "url(", "@import", " src=", "<iframe", "<object", "<form", " on"] {
        let tags: String = page.split('<').filter_map(|part| part.split_once('>').map(|(tag, _)| tag)).collect();
        let found = if outside == " on" {
            tags.contains(" onerror=") || tags.contains(" onload=")
        } else {
            tags.contains(outside)
        };
        assert!(!found, "{outside}");
    }
    let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
    assert!(!style.contains("url(") && !style.contains("@import") && !style.contains("&quot;"));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_headline_and_every_figure_carry_their_denominators() {
    let sample = report();
    let said = text(&sample);
    assert!(headline(&sample).starts_with("The model learned 140 of the 157 questions"), "{}", headline(&sample));
    for part in [
        "n = 160 questions about 80 facts",
        "confirmed:",
        "standard error",
        "undecided:",
        "4 abstentions and 1 failure before",
        "629 delivered",
    ] {
        assert!(said.contains(part), "{part}");
    }
    assert!(said.lines().count() <= 20);
    assert!(!said.contains('\u{a0}'));
    assert!(!said.contains("does not add up"));
}

#[test]
fn a_report_comes_back_from_json_and_draws_the_same_page() {
    let sample = report();
    let json = serde_json::to_string(&sample).expect("encode");
    let back: report::Report = serde_json::from_str(&json).expect("decode");
    assert_eq!(render(&back), render(&sample));
}

#[test]
fn what_does_not_add_up_and_what_was_not_shown_are_said() {
    let mut sample = report();
    sample.flow[0].delivered -= 3;
    assert!(text(&sample).contains("3 unaccounted for"));
    assert!(render(&sample).contains("does not add up"));
    sample.papers.rotate_left(3);
    assert!(headline(&sample).starts_with("Nothing was shown"), "{}", headline(&sample));
    sample.papers.clear();
    sample.curve.clear();
    assert!(render(&sample).contains("no exam was sat"));
    sample.title = HOSTILE.into();
    assert!(!text(&sample).contains('\u{1b}'));
}
