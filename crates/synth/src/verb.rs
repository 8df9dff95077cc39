//! A small lexicon of verbs: enough to find the verb of a plain sentence and to turn the sentence
//! into a question. A verb that is not here makes no fact, which costs coverage, not precision.

use crate::words::listed;

/// Base forms.
const BASES: &str = "weigh hold store carry cost last measure take need use burn deliver give produce make contain run \
    stand lie hang sit start stop end begin close open ring sound leave arrive sail return expire default cover rise \
    serve send transmit listen operate work belong come connect consist lead keep own employ receive require allow \
    support accept provide house seat fit reach exceed show display read write point face grow sleep pay charge rent \
    meet visit edit manage direct command supervise coordinate maintain repair assign raise lower protect remove add \
    filter heat cool melt freeze dry turn blink mean indicate stay remain live appear occupy play speak drive pull \
    push press draw record count carry fill empty wash clean paint wear feed drink eat cook bake brew plant water cut \
    build found lock unlock fire drop fall climb walk float sink dive swim call name begin follow precede represent \
    determine control consume implement invoke specify define equal limit enable disable set refer depend watch train \
    teach publish print issue sign hoist raise stretch span extend range vary burst hum drain rest cross enter treat \
    own share look lean wait work dig flow bring launch inspect check test prepare guard order buy sell relieve \
    announce deputise deputize replace chair head host sponsor fund design invent discover create develop move lift go \
    pass switch yield magnify answer hatch close rinse ship compare bend tilt swing steer dock anchor moor land melt \
    reopen marry retire win score select insert update delete commit begin accept allocate encode";

/// Past forms that are not base + (e)d, each with its base.
const IRREGULAR: &str = "made:make held:hold ran:run came:come began:begin stood:stand lay:lie sold:sell built:build \
    cost:cost took:take gave:give wrote:write drew:draw kept:keep left:leave led:lead met:meet paid:pay rose:rise \
    sent:send spent:spend ate:eat drank:drink wore:wear fed:feed cut:cut set:set fell:fall sank:sink swam:swim \
    hung:hang sat:sit grew:grow slept:sleep read:read bought:buy brought:bring dug:dig taught:teach rang:ring went:go won:win swung:swing bent:bend";

/// Words that help another verb, or stand for being.
const AUXILIARY: &str = "is are was were can may must should will could might";

/// How a verb's subject stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `is`, `was`, `can`: moves before the subject in a question.
    Auxiliary,
    /// `weighs`: asked with `does`.
    Singular,
    /// `weigh`: asked with `do`.
    Plural,
    /// `weighed`: asked with `did`.
    Past,
}

/// The form and the base form of a finite verb.
pub(crate) fn form(word: &str) -> Option<(Form, String)> {
    if listed(AUXILIARY, word) {
        return Some((Form::Auxiliary, word.to_string()));
    }
    match word {
        "has" => return Some((Form::Singular, "have".into())),
        "have" => return Some((Form::Plural, "have".into())),
        "had" => return Some((Form::Past, "have".into())),
        _ => {}
    }
    if let Some((_, base)) = IRREGULAR.split_whitespace().filter_map(|p| p.split_once(':')).find(|(p, _)| *p == word) {
        return Some((Form::Past, base.to_string()));
    }
    if listed(BASES, word) {
        return Some((Form::Plural, word.to_string()));
    }
    let known = |base: String, form: Form| listed(BASES, &base).then_some((form, base));
    if let Some(found) = word.strip_suffix("ies").and_then(|stem| known(format!("{stem}y"), Form::Singular)) {
        return Some(found);
    }
    if let Some(stem) = word.strip_suffix('s') {
        let found = known(stem.to_string(), Form::Singular);
        return found.or_else(|| stem.strip_suffix('e').and_then(|stem| known(stem.to_string(), Form::Singular)));
    }
    let stem = word.strip_suffix("ed")?;
    let doubled = stem.len() > 2 && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2];
    known(stem.to_string(), Form::Past)
        .or_else(|| known(format!("{stem}e"), Form::Past))
        .or_else(|| stem.strip_suffix('i').and_then(|stem| known(format!("{stem}y"), Form::Past)))
        .or_else(|| if doubled { known(stem[..stem.len() - 1].to_string(), Form::Past) } else { None })
}

/// Whether a word can stand after `is` as a past participle.
pub(crate) fn is_participle(word: &str) -> bool {
    (word.len() >= 4 && word.ends_with("ed") && !word.ends_with("eed"))
        || listed(
            "made built held kept hung cast cut set put sold known found bound worn drawn written given taken sent paid \
             run laid led lit wound shut born bought brought taught grown rung read dug done driven woven sewn proven shown broken seen torn chosen spoken frozen hidden \
             meant thrown spent sown grown",
            word,
        )
}

pub(crate) const PREPOSITIONS: &str = "in on at by for from with of to into onto under over above below beneath behind \
    beside besides between near inside outside within around along across against after before during until since \
    through towards via opposite beyond off up down as than next per";

/// Words that may stand before the verb's object without changing what is said.
pub(crate) const ADVERBS: &str = "usually normally also always now still then itself generally typically currently \
    together permanently commonly thus therefore";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finite_verbs_are_known_by_form() {
        let check = |word: &str, expected: Form, base: &str| {
            assert_eq!(form(word), Some((expected, base.to_string())), "{word}");
        };
        check("weighs", Form::Singular, "weigh");
        check("reaches", Form::Singular, "reach");
        check("carries", Form::Singular, "carry");
        check("makes", Form::Singular, "make");
        check("stand", Form::Plural, "stand");
        check("lies", Form::Singular, "lie");
        check("stopped", Form::Past, "stop");
        check("moved", Form::Past, "move");
        check("came", Form::Past, "come");
        check("was", Form::Auxiliary, "was");
        assert_eq!(form("kettle"), None);
        assert!(is_participle("rated") && is_participle("made") && !is_participle("red"));
    }
}
