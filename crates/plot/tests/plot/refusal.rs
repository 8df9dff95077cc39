//! What cannot be drawn is refused by name; what is not finite is left out and counted.

use plot::*;

use crate::sample;

#[test]
fn nothing_gives_an_error_and_no_picture() {
    let refused = [
        wright(&Wright::default()).err(),
        wright(&Wright { items: vec![Measure::new("i", f64::NAN, 1.0)], ..sample::small_wright() }).err(),
        curves(&Curves::default()).err(),
        information(&Information::default()).err(),
        information(&Information { x: vec![0.0, 1.0], information: vec![0.0; 2], ..Information::default() }).err(),
        pathway(&Pathway::default()).err(),
        forest(&Forest::default()).err(),
        severity(&Severity::default()).err(),
        kidmap(&Kidmap { ability: f64::INFINITY, ..sample::person(5) }).err(),
        difficulty(&Difficulty { points: vec![(0.0, 2.0)], ..Difficulty::default() }).err(),
        matrix(&Matrix::default()).err(),
        salience(&Salience { tokens: vec![("a".into(), f64::NAN)], ..Salience::default() }).err(),
        scaling(&Scaling { log_x: true, points: vec![Model { x: -1.0, ..Model::default() }], ..Scaling::default() })
            .err(),
        power(&Power { x: vec![2.0, 1.0], lines: vec![("a".into(), vec![0.1, 0.2])], ..Power::default() }).err(),
    ];
    for (at, error) in refused.into_iter().enumerate() {
        assert!(matches!(error, Some(Error::Empty { .. })), "{at}: {error:?}");
    }
}

#[test]
fn lists_of_different_lengths_are_named() {
    let mut odd = sample::one_curve();
    odd.lines[0].band.as_mut().expect("a band").1.pop();
    assert_eq!(curves(&odd).expect_err("odd").to_string(), "curve \"3PL\": 80 numbers where 81 belong");
    let mut odd = sample::subjects();
    odd.values[2].push(1.0);
    assert!(matrix(&odd).expect_err("odd").to_string().contains("\"qwen2.5-0.5b-instruct\": 10 numbers where 9"));
    let mut odd = sample::detect();
    odd.lines[1].1.clear();
    assert!(power(&odd).is_err());
    let mut odd = sample::laws();
    odd.laws[0].y.pop();
    assert!(scaling(&odd).is_err());
}

#[test]
fn what_is_not_finite_is_left_out_and_counted() {
    let mut map = sample::small_wright();
    map.persons[3].value = f64::NEG_INFINITY;
    map.persons[4].error = f64::INFINITY;
    let figure = wright(&map).expect("drawn");
    assert!(
        figure.caption().starts_with("13 persons") && figure.caption().contains("1 of the persons without"),
        "{}",
        figure.caption()
    );
    assert!(!figure.svg().contains("inf") && !figure.svg().contains("NaN"));
    let mut path = sample::fit(20);
    path.points[0].t = f64::NAN;
    assert!(pathway(&path).expect("drawn").caption().starts_with("19 items"));
    assert!(figure.png(8).is_err() && figure.png(200_000).is_err());
}

#[test]
fn an_input_comes_back_from_json() {
    let map = sample::small_wright();
    let json = serde_json::to_string(&map).expect("encode");
    assert_eq!(serde_json::from_str::<Wright>(&json).expect("decode"), map);
}
