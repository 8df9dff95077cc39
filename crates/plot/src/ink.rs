//! Colours and strokes, in light and in dark. A class says what a thing is; the style says how that
//! looks. Colours are told apart by colour-blind readers, and never say alone what a thing means.

/// Name, light and dark.
pub(crate) type Tint = (&'static str, &'static str, &'static str);

/// Colours by their role.
pub(crate) const TINTS: [Tint; 15] = [
    ("paper", "#fbfaf7", "#15181c"),
    ("ink", "#22262b", "#e6e3dc"),
    ("quiet", "#5d6570", "#9aa3ae"),
    ("line", "#c9c5ba", "#424952"),
    ("grid", "#e8e5dd", "#2a3038"),
    // Series, in the order in which they are taken.
    ("c0", "#0b6e6e", "#5cc8bf"),
    ("c1", "#ad4f06", "#f0a35e"),
    ("c2", "#4a4fa3", "#a3acf5"),
    ("c3", "#86134f", "#dc5f98"),
    ("c4", "#3d4700", "#eef2a8"),
    ("c5", "#5d6570", "#9aa3ae"),
    // Areas behind the first two.
    ("soft0", "#a8d8d3", "#1f5a57"),
    ("soft1", "#f0c9a6", "#6b4526"),
    ("softq", "#dcd9d1", "#353b43"),
    ("band", "#f4f2ec", "#1f242a"),
];

/// Steps of a map from little to much; texts upon them are [`ON_STEPS`].
pub(crate) const STEPS: [Tint; 8] = [
    ("h0", "#f1f5f3", "#1b2426"),
    ("h1", "#d8ebe7", "#1e3334"),
    ("h2", "#b7dcd6", "#204747"),
    ("h3", "#8cc7c0", "#22605e"),
    ("h4", "#54a6a1", "#358f8a"),
    ("h5", "#237f7d", "#45a59f"),
    ("h6", "#0c5d5e", "#74cbc3"),
    ("h7", "#083c40", "#b4ebe3"),
];

/// What is written upon each step.
pub(crate) const ON_STEPS: [(&str, &str); 8] = [
    ("#22262b", "#e6e3dc"),
    ("#22262b", "#e6e3dc"),
    ("#22262b", "#e6e3dc"),
    ("#22262b", "#ffffff"),
    ("#101416", "#0a0d10"),
    ("#ffffff", "#0a0d10"),
    ("#ffffff", "#0a0d10"),
    ("#ffffff", "#0a0d10"),
];

/// Steps of the other direction, for what is below nothing; texts upon them are ink.
pub(crate) const BELOW: [Tint; 4] = [
    ("b1", "#fae9d9", "#33261b"),
    ("b2", "#f3cfae", "#4a331f"),
    ("b3", "#e9b07c", "#634325"),
    ("b4", "#de9552", "#7a5029"),
];

/// Series that have a colour of their own; further ones share the last.
pub(crate) const SERIES: usize = 6;

/// The font that a reader has, and ours.
const READER: &str = "system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans','Noto Sans',sans-serif";
const OURS: &str = "Inter";

/// What does not depend on light: sizes, weights, dashes.
const SHAPES: [(&str, &str); 14] = [
    ("w1", "stroke-width:1;fill:none"),
    ("w2", "stroke-width:2;fill:none;stroke-linejoin:round;stroke-linecap:round"),
    ("w1x", "stroke-width:1.5"),
    ("w2x", "stroke-width:2"),
    ("w3", "stroke-width:3;fill:none;stroke-linecap:round"),
    ("dash", "stroke-dasharray:5 4"),
    ("dots", "stroke-dasharray:1.5 4"),
    ("head", "font-size:16px;font-weight:600"),
    ("body", "font-size:13px"),
    ("small", "font-size:12px"),
    ("strong", "font-weight:600"),
    ("halo", "paint-order:stroke;stroke-width:3.5px;stroke-linejoin:round"),
    ("faint", "opacity:.55"),
    ("veil", "opacity:.28"),
];

/// Who will draw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reader {
    /// A browser, in the light that its user likes.
    Browser,
    /// Our own rasteriser, in light and with our letters.
    Raster,
}

/// The style for a picture's body: only rules of classes that stand in it.
pub(crate) fn style(body: &str, reader: Reader) -> String {
    let font = if reader == Reader::Browser { READER } else { OURS };
    let used = |class: &str| {
        body.match_indices(class).any(|(at, _)| {
            let edge = |c: Option<char>| matches!(c, Some(' ' | '"'));
            edge(body[..at].chars().next_back()) && edge(body[at + class.len()..].chars().next())
        })
    };
    let mut light = format!(
        ".plot{{height:auto;font-family:{font};font-variant-numeric:tabular-nums}}.plot text{{font-size:13px}}"
    );
    let mut dark = String::new();
    for (class, rule) in SHAPES {
        if used(class) {
            light += &format!(".plot .{class}{{{rule}}}");
        }
    }
    let mut rule = |class: String, property: &str, bright: &str, dim: &str| {
        if used(&class) {
            light += &format!(".plot .{class}{{{property}:{bright}}}");
            dark += &format!(".plot .{class}{{{property}:{dim}}}");
        }
    };
    for (name, bright, dim) in TINTS.iter().chain(&STEPS).chain(&BELOW) {
        rule(format!("f-{name}"), "fill", bright, dim);
        rule(format!("s-{name}"), "stroke", bright, dim);
    }
    for (step, (bright, dim)) in ON_STEPS.iter().enumerate() {
        rule(format!("on-h{step}"), "fill", bright, dim);
    }
    // Opened alone, a picture lies on its own paper, however large the window is.
    let (_, bright, dim) = TINTS[0];
    let around = |paper: &str| format!(".plot:root{{background:{paper}}}");
    match reader {
        Reader::Browser => {
            format!("{light}{}@media (prefers-color-scheme:dark){{{dark}{}}}", around(bright), around(dim))
        }
        Reader::Raster => light,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(hex: &str) -> [f64; 3] {
        let part = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        [1, 3, 5].map(|at| {
            let value = f64::from(part(at)) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let light =
            |hex: &str| linear(hex).iter().zip([0.2126, 0.7152, 0.0722]).map(|(c, w)| c * w).sum::<f64>() + 0.05;
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    fn tint(name: &str) -> Tint {
        *TINTS.iter().find(|tint| tint.0 == name).expect("a tint")
    }

    #[test]
    fn texts_have_contrast_in_light_and_dark() {
        let (_, light, dark) = tint("paper");
        let (_, band, dim_band) = tint("band");
        for name in ["ink", "quiet", "c0", "c1", "c2", "c3", "c4", "c5"] {
            let (_, bright, dim) = tint(name);
            for (text, ground) in [(bright, light), (dim, dark), (bright, band), (dim, dim_band)] {
                let found = contrast(text, ground);
                assert!(found >= 4.5, "{name}: {text} on {ground} has {found:.2}");
            }
        }
        for ((name, bright, dim), (on_bright, on_dim)) in STEPS.iter().zip(ON_STEPS) {
            let found = contrast(bright, on_bright).min(contrast(dim, on_dim));
            assert!(found >= 4.5, "{name}: {found:.2}");
        }
        for (name, bright, dim) in BELOW {
            let found = contrast(bright, tint("ink").1).min(contrast(dim, tint("ink").2));
            assert!(found >= 4.5, "{name}: {found:.2}");
        }
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
    }

    /// CIELAB of a colour as a reader without one kind of cone sees it (Viénot, Brettel, Mollon 1999, in
    /// linear light).
    fn seen(hex: &str, blind: [[f64; 3]; 3]) -> [f64; 3] {
        let rgb = linear(hex);
        let times = |m: [[f64; 3]; 3], v: [f64; 3]| m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>());
        let rgb = times(blind, rgb);
        let xyz = times(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
            rgb.map(|c| c.clamp(0.0, 1.0)),
        );
        let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let [x, y, z] = [f(xyz[0] / 0.9505), f(xyz[1]), f(xyz[2] / 1.089)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn series_differ_for_colour_blind_readers() {
        let normal = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let protan = [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]];
        let deutan = [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]];
        for blind in [normal, protan, deutan] {
            for dark in [false, true] {
                let at = |name: &str| seen(if dark { tint(name).2 } else { tint(name).1 }, blind);
                for (a, b) in (0..5).flat_map(|a| (0..a).map(move |b| (format!("c{b}"), format!("c{a}")))) {
                    let gap = at(&a).iter().zip(at(&b)).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
                    assert!(gap > 12.0, "{a} and {b}, dark {dark}: {gap:.1}");
                }
            }
        }
    }

    #[test]
    fn only_what_is_used_is_styled() {
        let style = style(r#"<path class="w2 s-c1"/>"#, Reader::Browser);
        assert!(style.contains(".plot .s-c1{stroke:#f0a35e}") && !style.contains("s-c0") && !style.contains("w1"));
        assert!(!super::style(r#"<path class="s-c1"/>"#, Reader::Raster).contains("@media"));
    }
}
