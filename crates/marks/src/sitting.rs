use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A model's sitting of a task, as the head of a log tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sitting {
    pub model: String,
    pub task: String,
    /// Settings of the model that may make another person of it, e.g. temperature.
    pub settings: BTreeMap<String, String>,
}

/// The person of each sitting: its model, and in brackets those settings in which the sittings of one
/// task by that model differ.
///
/// A setting that differs between tasks only, such as their usual numbers of examples, makes no other
/// person: one model took both.
pub(crate) fn names(sittings: &[Sitting]) -> Vec<String> {
    let mut of_task: HashMap<(&str, &str), Vec<&Sitting>> = HashMap::new();
    for sitting in sittings {
        of_task.entry((&sitting.model, &sitting.task)).or_default().push(sitting);
    }
    let mut differing: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for ((model, _), sittings) in &of_task {
        let keys: BTreeSet<&str> = sittings.iter().flat_map(|s| s.settings.keys().map(String::as_str)).collect();
        let differs = |key: &&str| sittings.iter().any(|s| s.settings.get(*key) != sittings[0].settings.get(*key));
        differing.entry(model).or_default().extend(keys.into_iter().filter(differs));
    }
    let name = |sitting: &Sitting| {
        let keys = &differing[sitting.model.as_str()];
        let setting = |key: &&str| format!("{key}={}", sitting.settings.get(*key).map_or("unset", String::as_str));
        let settings: Vec<_> = keys.iter().map(setting).collect();
        if settings.is_empty() { sitting.model.clone() } else { format!("{} ({})", sitting.model, settings.join(", ")) }
    };
    sittings.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sitting(model: &str, task: &str, settings: &[(&str, &str)]) -> Sitting {
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Sitting { model: model.into(), task: task.into(), settings }
    }

    #[test]
    fn a_person_is_a_model_with_the_settings_that_tell_its_sittings_apart() {
        let sittings = [
            sitting("m", "arc", &[("shots", "25"), ("temperature", "0")]),
            sitting("m", "mmlu", &[("shots", "5"), ("temperature", "0")]),
            sitting("n", "arc", &[("shots", "25"), ("temperature", "0")]),
            sitting("n", "arc", &[("shots", "25"), ("temperature", "1")]),
            sitting("n", "arc", &[("shots", "25")]),
            sitting("n", "arc", &[("shots", "25")]),
        ];
        let unset = "n (temperature=unset)";
        assert_eq!(names(&sittings), ["m", "m", "n (temperature=0)", "n (temperature=1)", unset, unset]);
    }
}
