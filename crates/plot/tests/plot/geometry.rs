//! The pictures as a renderer sees them: nothing outside, no text upon another, the same every time.

use std::sync::Arc;

use fontdb::Database;
use plot::*;
use resvg::tiny_skia::{Pixmap, Rect};
use resvg::usvg::{Group, Node, Options, Tree};

use crate::sample::{self, Draws};

fn tree(svg: &str) -> Tree {
    let mut fonts = Database::new();
    for font in
        [&include_bytes!("../../src/font/inter-regular.otf")[..], include_bytes!("../../src/font/inter-semibold.otf")]
    {
        fonts.load_font_data(font.to_vec());
    }
    let options = Options { fontdb: Arc::new(fonts), font_family: "Inter".into(), ..Options::default() };
    // The reader's font is not there; ours stands in for it.
    Tree::from_str(&svg.replace("font-family:system-ui", "font-family:Inter"), &options).expect("well-formed")
}

/// Boxes of shapes, and boxes of texts with what they say.
fn boxes(group: &Group, shapes: &mut Vec<Rect>, texts: &mut Vec<(String, Rect)>) {
    for node in group.children() {
        match node {
            Node::Group(group) => boxes(group, shapes, texts),
            Node::Text(text) => {
                let said = text.chunks().iter().map(|chunk| chunk.text()).collect();
                texts.push((said, text.flattened().abs_bounding_box()));
            }
            node => shapes.push(node.abs_bounding_box()),
        }
    }
}

fn check(name: &str, figure: &Figure) {
    for svg in [figure.svg(), figure.bare()] {
        check_svg(name, &svg);
    }
    let words = |svg: &str| svg.matches("<text").count();
    assert!(words(&figure.bare()) < words(&figure.svg()), "{name}: the title stands in the bare picture");
}

fn check_svg(name: &str, svg: &str) {
    let tree = tree(svg);
    let (width, height) = (tree.size().width(), tree.size().height());
    let (mut shapes, mut texts) = (Vec::new(), Vec::new());
    boxes(tree.root(), &mut shapes, &mut texts);
    assert!(shapes.len() > 3 && texts.len() > 2, "{name}: hardly anything is drawn");
    let inside =
        |r: &Rect| r.left() >= -0.5 && r.top() >= -0.5 && r.right() <= width + 0.5 && r.bottom() <= height + 0.5;
    assert!(shapes.iter().all(inside), "{name}: a shape lies outside");
    for (at, (said, r)) in texts.iter().enumerate() {
        assert!(inside(r), "{name}: {said:?} lies outside: {r:?}");
        for (other, o) in &texts[at + 1..] {
            let apart = r.right() <= o.left() + 0.5
                || o.right() <= r.left() + 0.5
                || r.bottom() <= o.top() + 0.5
                || o.bottom() <= r.top() + 0.5;
            assert!(apart, "{name}: {said:?} and {other:?} cover each other: {r:?} {o:?}");
        }
    }
}

#[test]
fn nothing_lies_outside_and_no_text_covers_another() {
    sample::gallery().iter().for_each(|(name, figure)| check(name, figure));
}

/// The measurement itself must be able to fail: a text that is moved is seen.
#[test]
fn a_misplaced_text_is_caught() {
    let figure = plot::power(&sample::detect()).expect("drawn");
    let (mut shapes, mut texts) = (Vec::new(), Vec::new());
    boxes(tree(&figure.svg()).root(), &mut shapes, &mut texts);
    let zero = texts.iter().find(|(said, _)| said == "0.0").expect("a tick");
    let fifth = texts.iter().find(|(said, _)| said == "0.2").expect("a tick");
    assert!(zero.1.top() > fifth.1.bottom() && zero.1.width() > 5.0, "{zero:?} {fifth:?}");
}

const LONG: &str = "organisation/</text><script>alert(1)</script>-with-a-name-that-nobody-can-print-in-one-line-数学 \u{202e}\u{0}&\"'";

/// Numbers at the edge of what can be drawn, and labels as an enemy writes them.
fn stress() -> Vec<(&'static str, Figure)> {
    let mut d = Draws::new(99);
    let measure = |value: f64| Measure::new(LONG, value, 0.4);
    let one = Wright { title: LONG.into(), unit: LONG.into(), persons: vec![measure(0.0)], items: vec![measure(0.0)] };
    let equal = Wright { persons: vec![measure(2.0); 40], items: vec![measure(2.0); 700], ..one.clone() };
    let far = Wright {
        persons: vec![measure(1e9), measure(-1e9)],
        items: vec![Measure::new("x", 3.0, f64::NAN)],
        ..one.clone()
    };
    let rows = (0..60).map(|_| Row {
        label: LONG.into(),
        value: 1e4 * d.normal(),
        low: -1e5,
        high: 1e5,
        class: Some(Class::B),
    });
    let wide = Forest {
        title: LONG.into(),
        x_title: LONG.into(),
        sides: Some((LONG.into(), LONG.into())),
        ties: Some((-10.0, 10.0)),
        rows: rows.collect(),
        note: LONG.into(),
    };
    let near = Forest {
        rows: vec![Row { label: "a".into(), value: 1e-9, low: 0.0, high: 2e-9, class: None }],
        ..Forest::default()
    };
    let fits = (0..300)
        .map(|_| Fit { label: LONG.into(), measure: 50.0 * d.normal(), error: d.uniform(), t: 9.0 * d.normal() })
        .collect();
    let path =
        Pathway { title: LONG.into(), statistic: LONG.into(), what: LONG.into(), unit: LONG.into(), points: fits };
    let answers = (0..200).map(|at| Answered {
        label: LONG.into(),
        difficulty: (at % 3) as f64,
        right: at % 2 == 0,
        expected: if at % 2 == 0 { 0.1 } else { 0.9 },
    });
    let kid = Kidmap { title: LONG.into(), unit: LONG.into(), ability: 5.0, error: 3.0, items: answers.collect() };
    let x = vec![0.0, 1.0];
    let lines: Vec<_> = (0..6).map(|_| Line { label: LONG.into(), y: vec![1.0, 1.0], band: None }).collect();
    let flat = Curves {
        title: LONG.into(),
        x_title: LONG.into(),
        y_title: LONG.into(),
        most: 1.0,
        x: x.clone(),
        lines,
        observed: vec![Observed { x: 5.0, y: 3.0, error: 9.0, n: 1 }],
        note: LONG.into(),
    };
    let test = Information {
        title: LONG.into(),
        x_title: LONG.into(),
        x: x.clone(),
        information: vec![0.0, 1e-6],
        persons: vec![0.5; 5000],
        note: LONG.into(),
    };
    let rater =
        |severity: f64| Rater { label: LONG.into(), severity, error: 0.1, observed: 3.0, fair: f64::NAN, n: 1_000_000 };
    let raters =
        Severity { title: LONG.into(), unit: LONG.into(), raters: (0..55).map(|at| rater(at as f64)).collect() };
    let names = |n: usize| vec![LONG.to_string(); n];
    let table = |r: usize, c: usize| Matrix {
        title: LONG.into(),
        rows: names(r),
        columns: names(c),
        values: vec![vec![-1234.5; c]; r],
        decimals: 1,
        note: LONG.into(),
    };
    let one_point = Difficulty {
        title: LONG.into(),
        x_title: LONG.into(),
        y_title: LONG.into(),
        points: vec![(1.0, 0.5)],
        note: LONG.into(),
    };
    let tokens = Salience {
        title: LONG.into(),
        quantity: "salience".into(),
        tokens: vec![(LONG.into(), -1e-12), ("\n\n".into(), 0.0), (" ".into(), 2e-12)],
        note: LONG.into(),
    };
    let models = (0..40).map(|at| Model {
        label: LONG.into(),
        group: format!("{at}{LONG}"),
        x: 10f64.powi(at),
        y: 1.0 + f64::from(at % 4),
        error: 1.0,
        held_out: at % 2 == 0,
    });
    let ladder = Scaling {
        title: LONG.into(),
        x_title: LONG.into(),
        y_title: LONG.into(),
        log_x: true,
        log_y: true,
        points: models.collect(),
        laws: vec![Law {
            label: LONG.into(),
            x: vec![1.0, 1e30],
            y: vec![9.0, 0.5],
            band: Some((vec![-1.0, 0.1], vec![20.0, 0.9])),
        }],
        note: LONG.into(),
    };
    let settings = (0..9).map(|at| (LONG.to_string(), vec![0.1 * f64::from(at), 0.1 * f64::from(at)])).collect();
    let chances = Power {
        title: LONG.into(),
        x_title: LONG.into(),
        log: false,
        x,
        lines: settings,
        target: 0.8,
        note: LONG.into(),
    };
    let drawn = [
        ("one", wright(&one)),
        ("equal", wright(&equal)),
        ("far", wright(&far)),
        ("wide", forest(&wide)),
        ("near", forest(&near)),
        ("path", pathway(&path)),
        ("kid", kidmap(&kid)),
        ("flat", curves(&flat)),
        ("test", information(&test)),
        ("raters", severity(&raters)),
        ("table", matrix(&table(3, 3))),
        ("large table", matrix(&table(80, 50))),
        ("one point", difficulty(&one_point)),
        ("tokens", salience(&tokens)),
        ("ladder", scaling(&ladder)),
        ("chances", power(&chances)),
    ];
    drawn.into_iter().map(|(name, figure)| (name, figure.expect(name))).collect()
}

#[test]
fn hostile_labels_and_odd_numbers_stay_inside_and_stay_text() {
    for (name, figure) in stress() {
        check(name, &figure);
        let svg = figure.svg();
        for word in ["<script", "NaN", "\"inf", "-inf", "Linf", " inf ", "href", "url(", "\u{202e}", "\u{0}"] {
            assert!(!svg.contains(word), "{name}: {word}");
        }
        assert_eq!(svg.matches("http").count(), 1, "{name}: only its own name space");
    }
}

#[test]
fn the_same_numbers_give_the_same_bytes() {
    for ((name, a), (_, b)) in sample::gallery().iter().zip(sample::gallery()) {
        assert_eq!(a.svg(), b.svg(), "{name}");
        assert!(a.svg().contains("<title>") && a.svg().contains("prefers-color-scheme:dark"), "{name}");
    }
    let figure = severity(&sample::raters()).expect("drawn");
    assert_eq!(figure.png(300).expect("drawn"), figure.png(300).expect("drawn"));
}

#[test]
fn a_png_has_its_size_its_letters_and_its_colours() {
    for (name, figure) in sample::gallery() {
        let pixels = Pixmap::decode_png(&figure.png(340).expect(name)).expect(name);
        assert_eq!((pixels.width(), pixels.height()), (340, (340.0 * figure.aspect()).round() as u32), "{name}");
        let paper = pixels.pixels()[0];
        let drawn =
            |from: usize, to: usize| pixels.pixels()[340 * from..340 * to].iter().filter(|p| **p != paper).count();
        assert!(drawn(0, pixels.height() as usize) > 2000, "{name} is almost blank");
        // The title stands in the first 20 lines, whatever fonts the machine has.
        assert!(drawn(0, 20) > 100, "{name} has no title");
        assert!(pixels.pixels().iter().all(|p| p.alpha() == 255), "{name} has holes");
    }
}

/// A machine may have fonts for other scripts or not: either way something stands there.
#[test]
fn letters_that_we_lack_leave_no_gap() {
    let drawn = |label: &str| {
        let forest = Forest {
            rows: vec![Row { label: label.into(), value: 1.0, low: 0.0, high: 2.0, class: None }],
            ..Forest::default()
        };
        plot::forest(&forest).expect("drawn").png(340).expect("drawn")
    };
    // A tab of nothing but spaces is as wide as the four signs.
    assert_ne!(drawn("文心一言"), drawn("\u{3000}\u{3000}\u{3000}\u{3000}"));
}
