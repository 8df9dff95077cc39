use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, clean, escape, width};
use crate::figure::top;
use crate::ink::{BELOW, ON_STEPS, STEPS, TINTS};
use crate::scale::number;
use crate::{Error, Figure, Result, font};

/// A text, token by token, with a number for each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Salience {
    /// Title of the picture.
    pub title: String,
    /// What the number is, e.g. `salience`.
    pub quantity: String,
    /// Each token's text, spaces and line breaks included, and its number; not finite where it has none.
    pub tokens: Vec<(String, f64)>,
    /// Where the text comes from.
    pub note: String,
}

/// Tokens that are drawn at most.
const DRAWN: usize = 1200;
/// Height of a line.
const LINE: f64 = 27.0;
/// Width of a space.
const SPACE: f64 = 4.5;
/// Steps in each direction: [`BELOW`], and every other one of [`STEPS`].
const DEPTH: usize = 4;

/// Colour of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shade {
    None,
    Above(usize),
    Below(usize),
}

impl Shade {
    fn new(value: f64, most: f64) -> Self {
        let step = (value.abs() / most * (DEPTH as f64 + 0.499)).round() as usize;
        match step {
            0 => Self::None,
            step if value > 0.0 => Self::Above(step.min(DEPTH)),
            step => Self::Below(step.min(DEPTH)),
        }
    }

    fn class(self) -> String {
        match self {
            Self::None => "f-h0".into(),
            Self::Above(step) => format!("f-h{}", 2 * step - 1),
            Self::Below(step) => format!("f-b{step}"),
        }
    }

    fn ink(self) -> String {
        match self {
            Self::Above(step) => format!("on-h{}", 2 * step - 1),
            _ => "f-ink".into(),
        }
    }
}

/// The text with a ground behind each token: teal for what is above 0, orange for what is below, the
/// deeper the further; the five furthest are underlined. Of more than 1,200 tokens the first are drawn.
///
/// Errors: [`Error::Empty`] without a finite number.
pub fn salience(picture: &Salience) -> Result<Figure> {
    let (most, deep) = extent(picture)?;
    let mut canvas = Canvas::default();
    let upper = key(&mut canvas, top(&picture.title), picture, most);
    let right = WIDTH - EDGE;
    let (mut x, mut y) = (EDGE, upper + 24.0);
    for (at, (token, value)) in picture.tokens.iter().take(DRAWN).enumerate() {
        let text = clean(token.trim_matches(['\n', '\r']));
        let word = font::fit(text.trim(), right - EDGE, 13.0, false);
        let room = width("body", &word);
        let before = text.len() - text.trim_start().len();
        let mut lead = SPACE * before as f64;
        if x + lead + room > right && x > EDGE {
            (x, y) = (EDGE, y + LINE);
        }
        // A line does not begin with the space between two words.
        if x == EDGE && before == 1 {
            lead = 0.0;
        }
        if !word.is_empty() {
            let shade = Shade::new(if value.is_finite() { *value } else { 0.0 }, most);
            let said = format!("{} {}", picture.quantity, number(*value, 3));
            if shade != Shade::None {
                canvas.rect(&shade.class(), (x + lead - 1.0, y - 14.0), (room + 2.0, 20.0), 2.0, &said);
            }
            canvas.word(&format!("body {}", shade.ink()), (x + lead, y), &word, room);
            if deep.contains(&at) {
                canvas.line("w2 s-ink", (x + lead + 1.0, y + 8.5), (x + lead + room - 1.0, y + 8.5));
            }
        }
        x += lead + room + if before < text.len() { SPACE * (text.len() - text.trim_end().len()) as f64 } else { 0.0 };
        if token.contains('\n') {
            (x, y) = (EDGE, y + LINE);
        }
    }
    let cut = if picture.tokens.len() > DRAWN { format!("The first {DRAWN} of ") } else { String::new() };
    let caption =
        format!("{cut}{} tokens; the five furthest from 0 are underlined. {}", picture.tokens.len(), picture.note);
    Ok(Figure::new(&picture.title, &caption, canvas, y + 12.0))
}

/// The same as a fragment of HTML, whose lines break as a page's do: a `div` with its own style, without
/// scripts; a token's number is shown where a pointer rests.
///
/// Errors: as [`salience`].
pub fn salience_html(picture: &Salience) -> Result<String> {
    let (most, deep) = extent(picture)?;
    let mut html = format!("<div class=\"salience\"><style>{}</style>", html_style());
    html += &format!(
        "<p class=\"salience-key\">{}: <span class=\"b4\">−{}</span> <span class=\"h7\">{}</span></p><p>",
        escape(&picture.quantity),
        number(most, 3),
        number(most, 3)
    );
    for (at, (token, value)) in picture.tokens.iter().take(DRAWN).enumerate() {
        let shade = Shade::new(if value.is_finite() { *value } else { 0.0 }, most);
        let class = match shade {
            Shade::None => String::new(),
            Shade::Above(step) => format!("h{}", 2 * step - 1),
            Shade::Below(step) => format!("b{step}"),
        };
        let deep = if deep.contains(&at) { " deep" } else { "" };
        // Only the word has a ground: spaces stand before and behind it, and break lines as they do.
        let word = token.trim();
        let (before, behind) = token.split_once(word).unwrap_or(("", token));
        html += &space(before);
        if !word.is_empty() {
            html += &format!("<span class=\"{class}{deep}\" title=\"{}\">{}</span>", number(*value, 3), escape(word));
        }
        html += &space(behind);
    }
    html += "</p></div>";
    Ok(html)
}

/// Spaces as they are, and line breaks.
fn space(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { "<br>" } else { " " }).collect()
}

/// The largest distance from 0, and the places of the five furthest tokens.
fn extent(picture: &Salience) -> Result<(f64, Vec<usize>)> {
    let mut order: Vec<usize> =
        (0..picture.tokens.len().min(DRAWN)).filter(|at| picture.tokens[*at].1.is_finite()).collect();
    order.sort_by(|a, b| picture.tokens[*b].1.abs().total_cmp(&picture.tokens[*a].1.abs()).then(a.cmp(b)));
    let first = order.first().ok_or(Error::Empty { what: "the tokens' numbers" })?;
    let most = picture.tokens[*first].1.abs().max(f64::MIN_POSITIVE);
    order.truncate(5);
    Ok((most, order))
}

/// The colours with their numbers; gives the bottom.
fn key(canvas: &mut Canvas, top: f64, picture: &Salience, most: f64) -> f64 {
    let below = picture.tokens.iter().any(|token| token.1 < 0.0);
    let mut shades: Vec<Shade> = if below { (1..=DEPTH).rev().map(Shade::Below).collect() } else { Vec::new() };
    shades.push(Shade::None);
    shades.extend((1..=DEPTH).map(Shade::Above));
    let low = if below { number(-most, 3) } else { "0".into() };
    let mut x = EDGE;
    canvas.text("small f-quiet", (x, top + 14.0), Anchor::Start, &format!("{}  {low}", clean(&picture.quantity)));
    x += width("small", &format!("{}  {low}", clean(&picture.quantity))) + 6.0;
    for shade in shades {
        canvas.rect(&shade.class(), (x, top + 4.0), (17.0, 12.0), 1.5, "");
        x += 18.0;
    }
    canvas.text("small f-quiet", (x + 5.0, top + 14.0), Anchor::Start, &number(most, 3));
    top + 22.0
}

fn html_style() -> String {
    let ink = TINTS[1];
    let mut light = format!(
        ".salience{{color:{};line-height:1.9}}.salience p{{white-space:pre-wrap}}.salience span{{padding:.15em .08em;border-radius:2px;-webkit-box-decoration-break:clone;box-decoration-break:clone}}.salience .deep{{text-decoration:underline;text-decoration-thickness:2px;text-underline-offset:.25em}}",
        ink.1
    );
    let mut dark = format!(".salience{{color:{}}}", ink.2);
    for ((name, bright, dim), (on_bright, on_dim)) in STEPS.iter().zip(ON_STEPS).skip(1).step_by(2) {
        light += &format!(".salience .{name}{{background:{bright};color:{on_bright}}}");
        dark += &format!(".salience .{name}{{background:{dim};color:{on_dim}}}");
    }
    for (name, bright, dim) in BELOW {
        light += &format!(".salience .{name}{{background:{bright}}}");
        dark += &format!(".salience .{name}{{background:{dim}}}");
    }
    format!("{light}@media (prefers-color-scheme:dark){{{dark}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_follow_size_and_sign_and_tokens_stay_text() {
        let shade = |value| Shade::new(value, 1.0);
        assert_eq!(
            [shade(0.05), shade(1.0), shade(-1.0), shade(0.3)],
            [Shade::None, Shade::Above(4), Shade::Below(4), Shade::Above(1)]
        );
        let hostile = Salience {
            tokens: vec![("</span><script>x()</script>\n".into(), 0.5), (" b".into(), f64::NAN)],
            ..Salience::default()
        };
        let html = salience_html(&hostile).expect("drawn");
        assert!(
            !html.contains("<script") && html.contains("&lt;script&gt;") && html.matches("<br>").count() == 1,
            "{html}"
        );
        assert!(salience(&Salience::default()).is_err());
    }
}
