use record::{Message, Role};

use super::*;

/// Reads a file of these bytes.
fn with<T>(bytes: impl AsRef<[u8]>, read: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("data.jsonl");
    std::fs::write(&path, bytes).expect("write");
    read(&path)
}

fn fine(text: &str) -> Data<Sample> {
    with(text, |path| samples(path, Turns::Last)).expect("samples")
}

fn pairs(text: &str) -> Data<Preference> {
    with(text, preferences).expect("preferences")
}

/// A conversation in short: `u: Why?|a: So.`
fn short(messages: &[Message]) -> String {
    let one = |m: &Message| format!("{}: {}", ["s", "u", "a"][m.role as usize], m.content);
    messages.iter().map(one).collect::<Vec<_>>().join("|")
}

/// Prompt, better and worse answer.
fn told(preference: &Preference) -> [String; 3] {
    let text = |answer: &Option<record::Answer>| answer.as_ref().map_or("-".into(), |a| a.text.clone());
    [short(&preference.messages), text(&preference.chosen), text(&preference.rejected)]
}

const USER: &str = r#"{"role":"user","content":"Why?"}"#;
const GOOD: &str = r#"{"role":"assistant","content":"So."}"#;
const BAD: &str = r#"{"role":"assistant","content":"No."}"#;

#[test]
fn every_format_gives_the_same_conversation() {
    let own =
        format!(r#"{{"id":"x","fact":"f","document":"d","messages":[{USER},{GOOD}],"wording":"hand","citations":[]}}"#);
    let preference = format!(
        r#"{{"id":"x","question":"q","messages":[{USER}],"chosen":{{"text":"So."}},"rejected":{{"text":"No."}}}}"#
    );
    let openai = format!(
        r#"{{"input":{{"messages":[{USER}],"tools":[]}},"preferred_output":[{GOOD}],"non_preferred_output":[{BAD}]}}"#
    );
    let all = [
        (Format::Sample, own),
        (Format::Preference, preference),
        (Format::Messages, format!(r#"{{"messages":[{USER},{GOOD}]}}"#)),
        (Format::CompletionText, r#"{"prompt":"Why?","completion":" So."}"#.into()),
        (Format::CompletionTurns, format!(r#"{{"prompt":[{USER}],"completion":[{GOOD}]}}"#)),
        (Format::LabelText, r#"{"prompt":"Why?","completion":"So.","label":true}"#.into()),
        (Format::LabelTurns, format!(r#"{{"prompt":[{USER}],"completion":[{GOOD}],"label":1}}"#)),
        (Format::PairText, r#"{"prompt":"Why?","chosen":" So.","rejected":" No."}"#.into()),
        (Format::PairTurns, format!(r#"{{"prompt":[{USER}],"chosen":[{GOOD}],"rejected":[{BAD}]}}"#)),
        (Format::OpenaiPreference, openai),
        (Format::QuestionAnswer, r#"{"question":"Why?","answer":"So."}"#.into()),
    ];
    assert_eq!(all.len(), format::known());
    for (format, line) in all {
        let data = fine(&line);
        assert_eq!((data.format, data.drops.len()), (format, 0), "{line}");
        assert_eq!(short(&data.records[0].messages), "u: Why?|a: So.", "{line}");
        let own = matches!(format, Format::Sample | Format::Preference);
        assert_eq!(data.records[0].id, if own { "x" } else { "line-1" });
        match with(&line, |path| open(path, Turns::Last)).expect("opens") {
            Either::Preferences(data) => {
                assert!(format.is_preference(), "{line}");
                let one = matches!(format, Format::LabelText | Format::LabelTurns);
                assert_eq!(told(&data.records[0]), ["u: Why?", "So.", if one { "-" } else { "No." }], "{line}");
            }
            Either::Samples(_) => {
                assert!(!format.is_preference(), "{line}");
                let refused = with(&line, preferences).expect_err("no preferences").to_string();
                assert!(refused.contains(format.words()) && refused.contains("learn sft"), "{refused}");
            }
        }
    }
}

#[test]
fn the_prompt_of_whole_conversations_is_what_both_begin_with() {
    let system = r#"{"role":"system","content":"Be brief."}"#;
    let shared = format!("{system},{USER},{GOOD},{{\"role\":\"user\",\"content\":\"And?\"}}");
    let implicit = format!(r#"{{"chosen":[{shared},{BAD}],"rejected":[{shared},{GOOD}]}}"#);
    assert_eq!(told(&pairs(&implicit).records[0]), ["s: Be brief.|u: Why?|a: So.|u: And?", "No.", "So."]);
    // As UltraFeedback has it: the prompt again in words, and both sides whole.
    let again =
        format!(r#"{{"prompt":"Why?","chosen":[{USER},{GOOD}],"rejected":[{USER},{BAD}],"messages":[{USER},{GOOD}]}}"#);
    assert_eq!(told(&pairs(&again).records[0]), ["u: Why?", "So.", "No."]);
    let repeated = format!(r#"{{"prompt":[{USER}],"chosen":[{USER},{GOOD}],"rejected":[{USER},{BAD}]}}"#);
    assert_eq!(told(&pairs(&repeated).records[0]), ["u: Why?", "So.", "No."]);
    let in_words = format!(r#"{{"prompt":"Why?","chosen":[{GOOD}],"rejected":[{BAD}],"weight":0.5}}"#);
    let data = pairs(&in_words);
    assert_eq!((told(&data.records[0]), data.records[0].weight), (["u: Why?", "So.", "No."].map(String::from), 0.5));
}

#[test]
fn pairs_about_one_prompt_are_one_question() {
    let line = |prompt: &str, chosen: &str| format!(r#"{{"prompt":"{prompt}","chosen":"{chosen}","rejected":"c"}}"#);
    let data = pairs(&[line("p", "a"), line("p", "b"), line("q", "a")].join("\n"));
    let [a, b, c] = [0, 1, 2].map(|at: usize| &data.records[at].question);
    assert!(a == b && a != c);
}

#[test]
fn a_bad_answer_is_no_example_but_one_side_of_a_preference() {
    let text = r#"{"prompt":"Why?","completion":"So.","label":true}
                  {"prompt":"Why?","completion":"No.","label":false}"#;
    assert_eq!(told(&pairs(text).records[1]), ["u: Why?", "-", "No."]);
    let data = fine(text);
    assert_eq!((data.records.len(), counts(&data.drops)["no-chosen"]), (1, 1));
}

#[test]
fn each_turn_is_a_sample_where_all_are_learned() {
    let turn =
        |role: &str, content: &str, weight: &str| format!(r#"{{"role":"{role}","content":"{content}"{weight}}}"#);
    let talk = |weights: [&str; 3]| {
        let [a, b, c] = weights;
        let turns =
            [turn("user", "1?", ""), turn("assistant", "1", a), turn("user", "2?", ""), turn("assistant", "2", b)];
        format!(
            r#"{{"id":"t","messages":[{},{},{}]}}"#,
            turns.join(","),
            turn("user", "3?", ""),
            turn("assistant", "3", c)
        )
    };
    let read = |text: &str, which| {
        let data = with(text, |path| samples(path, which));
        data.map(|data| data.records.iter().map(|s| (s.id.clone(), short(&s.messages))).collect::<Vec<_>>())
    };
    let (one, two) = ("u: 1?|a: 1", "u: 1?|a: 1|u: 2?|a: 2");
    let three = format!("{two}|u: 3?|a: 3");
    let of = |list: &[(&str, &str)]| list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
    let plain = talk(["", "", ""]);
    assert_eq!(read(&plain, Turns::Last).expect("read"), of(&[("t", &three)]));
    assert_eq!(read(&plain, Turns::All).expect("read"), of(&[("t.1", one), ("t.2", two), ("t.3", &three)]));
    let weighed = talk([r#","weight":0"#, r#","weight":1"#, r#","weight":0"#]);
    for which in [Turns::Last, Turns::All] {
        assert_eq!(read(&weighed, which).expect("read"), of(&[("t", two)]));
    }
    let none = talk([r#","weight":0"#; 3]);
    assert!(read(&none, Turns::All).expect_err("nothing").to_string().contains("nothing-learned"));
    assert_eq!(fine(&plain).several, 1);
}

/// Lines that give nothing, each with its reason.
#[test]
fn every_bad_line_is_counted_and_named() {
    let good = format!(r#"{{"id":"good","messages":[{USER},{GOOD}]}}"#);
    let conversation = |turns: &str| format!(r#"{{"messages":[{turns}]}}"#);
    let said = |content: &str| conversation(&format!(r#"{USER},{{"role":"assistant","content":{content}}}"#));
    let samples_of = [
        ("not-json", r#"{"messages":[{"role":"user""#.to_string()),
        ("not-json", "[1]".into()),
        ("duplicate", format!(r#"{{"id":"good","messages":[{USER},{BAD}]}}"#)),
        ("no-prompt", conversation("")),
        ("no-prompt", conversation(GOOD)),
        ("no-prompt", r#"{"id":"no messages"}"#.into()),
        ("no-answer", conversation(USER)),
        ("empty-answer", said(r#"" \n""#)),
        ("content-not-text", said("5")),
        ("content-not-text", said("null")),
        ("content-not-text", said(r#"{"text":"So."}"#)),
        ("content-not-text", said(r#"[{"type":"image_url","image_url":{"url":"x"}}]"#)),
        ("not-turns", r#"{"messages":"Why?"}"#.into()),
        ("unknown-role", conversation(&format!(r#"{USER},{{"role":"tool","content":"4"}},{GOOD}"#))),
        ("unknown-role", conversation(r#"{"content":"Why?"}"#)),
        ("uses-tools", conversation(&format!(r#"{USER},{{"role":"assistant","content":"","tool_calls":[{{}}]}}"#))),
        ("uses-tools", format!(r#"{{"messages":[{USER},{GOOD}],"tools":[{{}}]}}"#)),
        ("bad-weight", conversation(&format!(r#"{USER},{{"role":"assistant","content":"So.","weight":0.5}}"#))),
        ("nothing-learned", conversation(&format!(r#"{USER},{{"role":"assistant","content":"So.","weight":0}}"#))),
    ];
    expect(&good, &samples_of, |path| samples(path, Turns::Last).map(|data| (data.records.len(), data.drops)));

    let good = r#"{"id":"good","prompt":"Why?","chosen":"So.","rejected":"No."}"#;
    let pair = |chosen: &str, rejected: &str| format!(r#"{{"prompt":"Why?","chosen":{chosen},"rejected":{rejected}}}"#);
    let pairs_of = [
        ("duplicate", good.to_string()),
        ("same-answers", pair(r#""So.""#, r#"" So. ""#)),
        ("empty-answer", pair(r#""So.""#, r#""""#)),
        ("no-answer", pair(r#""So.""#, "null")),
        ("no-prompt", r#"{"chosen":"So.","rejected":"No."}"#.into()),
        ("no-prompt", r#"{"prompt":" ","chosen":"So.","rejected":"No."}"#.into()),
        ("content-not-text", pair(r#""So.""#, "7")),
        ("bad-weight", r#"{"prompt":"Why?","chosen":"So.","rejected":"No.","weight":-1}"#.into()),
        ("bad-weight", r#"{"prompt":"Why?","chosen":"So.","rejected":"No.","weight":"heavy"}"#.into()),
    ];
    let read = |path: &Path| preferences(path).map(|data| (data.records.len(), data.drops));
    expect(good, &pairs_of, read);

    let good = format!(r#"{{"chosen":[{USER},{GOOD}],"rejected":[{USER},{BAD}]}}"#);
    let sides = |chosen: &str, rejected: &str| format!(r#"{{"chosen":[{chosen}],"rejected":[{rejected}]}}"#);
    let turns_of = [
        ("same-answers", sides(&format!("{USER},{GOOD}"), &format!("{USER},{GOOD}"))),
        ("no-prompt", sides(GOOD, BAD)),
        ("no-answer", sides(&format!("{USER},{GOOD}"), USER)),
        ("not-one-answer", sides(&format!("{USER},{GOOD},{USER},{BAD}"), &format!("{USER},{BAD}"))),
        ("prompt-ends-with-answer", sides(&format!("{USER},{GOOD},{GOOD}"), &format!("{USER},{GOOD},{BAD}"))),
    ];
    expect(&good, &turns_of, read);

    let good = r#"{"prompt":"Why?","completion":"So.","label":false}"#;
    let labels_of = [("bad-label", r#"{"prompt":"Why?","completion":"So.","label":"yes"}"#.to_string())];
    expect(good, &labels_of, read);

    let good = r#"{"id":"a","question":"q","messages":[{"role":"user","content":"?"}],"chosen":{"text":"So."}}"#;
    let own_of = [
        ("bad-record", r#"{"id":"b","question":"q","messages":[],"chosen":{"texts":"So."}}"#.to_string()),
        ("bad-record", r#"{"id":"c","question":"q","messages":"?","chosen":{"text":"So."}}"#.into()),
        ("no-prompt", r#"{"id":"d","question":"q","messages":[],"chosen":{"text":"So."}}"#.into()),
    ];
    expect(good, &own_of, read);
    let cut =
        format!("{good}\n{}", good.replace(r#""id":"a""#, r#""id":"b""#).replace(r#""So.""#, r#""So.","ended":false"#));
    assert_eq!(counts(&fine(&cut).drops)["cut-answer"], 1);
}

/// Each bad line behind the good one gives its reason, its place and nothing else.
fn expect(good: &str, bad: &[(&str, String)], read: impl Fn(&Path) -> Result<(usize, Vec<Drop>)>) {
    for (reason, line) in bad {
        let (records, drops) = with(format!("{good}\n\n{line}\n"), &read).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!((records, drops.len()), (1, 1), "{line}");
        assert_eq!(drops[0].reason, *reason, "{line}: {}", drops[0].detail);
        assert!(REASONS.iter().any(|(known, _)| known == reason), "{reason} is not in the list");
        assert!(drops[0].detail.contains("data.jsonl, line 3"), "{}", drops[0].detail);
        // Alone it is an error that says the same.
        assert!(with(line, &read).is_err() || *reason == "duplicate", "{line}");
    }
}

#[test]
fn bytes_that_are_no_text_spoil_only_their_line() {
    let mut bytes = b"{\"question\":\"Why\xff?\",\"answer\":\"So.\"}\r\n".to_vec();
    bytes.extend("\u{feff}{\"question\":\"Why?\",\"answer\":\"So.\"}\r\n".as_bytes());
    let data = with(&bytes, |path| samples(path, Turns::Last)).expect("read");
    assert_eq!((data.records[0].id.as_str(), data.records.len()), ("line-2", 1));
    assert_eq!((data.drops[0].reason.as_str(), data.drops[0].record.as_str()), ("not-utf8", "line-1"));
    assert!(data.drops[0].detail.contains("byte 17"), "{}", data.drops[0].detail);
}

#[test]
fn a_json_list_is_read_like_lines() {
    let data = fine("\n[{\"question\":\"Why?\",\"answer\":\"So.\"},\n {\"question\":\"How?\",\"answer\":\"\"}]");
    assert_eq!((data.records[0].id.as_str(), data.drops[0].record.as_str()), ("member-1", "member-2"));
}

#[test]
fn a_file_that_is_wrong_as_a_whole_is_an_error_that_says_so() {
    let say = |bytes: &[u8]| with(bytes, |path| samples(path, Turns::Last)).expect_err("refused").to_string();
    for (bytes, words) in [
        (&b""[..], "is empty"),
        (b" \n\n", "no line that can be read as a JSON object"),
        (b"hello\nworld\n", "no line that can be read as a JSON object"),
        (b"[{\"question\":", "begins like a JSON list"),
        (b"{\"text\":\"once\"}", "plain text has no answer"),
        (b"{\"foo\":1,\"bar\":2}", "has the fields `foo`, `bar`"),
        (b"{\"question\":\"?\",\"answers\":[\"a\"]}", "lyceum exam"),
        (b"{\"question\":\"?\",\"steps\":[\"a\"]}", "--format samples"),
        (b"{\"question\":\"?\"}", "lyceum practise"),
        (b"{\"prompt\":\"?\",\"completion\":7}", "field `completion` in line 1 that is a number"),
        (b"{\"prompt\":\"?\",\"chosen\":\"a\"}", "known are lyceum samples"),
        (b"\x1f\x8b\x08\x00", "is compressed"),
        (b"PAR1 and no more", "damaged Parquet table"),
        (b"{\"question\":\"?\",\"answer\":\"\"}\n", "no line that can be used (empty-answer 1)"),
    ] {
        let said = say(bytes);
        assert!(said.contains("data.jsonl") && said.contains(words), "{said}");
    }
    let folder = tempfile::tempdir().expect("folder");
    assert!(samples(folder.path(), Turns::Last).expect_err("refused").to_string().contains("is a folder"));
    let missing = samples(&folder.path().join("none.jsonl"), Turns::Last).expect_err("refused").to_string();
    assert!(missing.contains("none.jsonl"), "{missing}");
}

#[test]
fn mixed_formats_are_refused_by_file_line_and_field() {
    let text = r#"{"prompt":"Why?","chosen":"So.","rejected":"No."}"#;
    for (other, field) in [
        (format!(r#"{{"prompt":"Why?","chosen":[{GOOD}],"rejected":[{BAD}]}}"#), "chosen"),
        (r#"{"prompt":"Why?","completion":"So."}"#.to_string(), "completion"),
        (r#"{"prompt":"Why?","completion":"So.","label":true}"#.into(), "label"),
        (format!(r#"{{"messages":[{USER},{GOOD}]}}"#), "messages"),
        (r#"{"question":"Why?","answer":"So."}"#.into(), "answer"),
    ] {
        let error = with(format!("{text}\n{other}\n"), preferences).expect_err("mixed");
        assert!(matches!(error, Error::Mixed { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("data.jsonl, line 2: ") && said.contains(&format!("`{field}`")), "{said}");
    }
}

#[test]
fn questions_are_read_from_whatever_asks() {
    let text = format!(
        "{}\n{}\n{}\n{}\n{}\n",
        r#"{"id":7,"question":"Why?","answer":4}"#,
        r#"{"prompt":"Why?","answers":["four","4"]}"#,
        format_args!(r#"{{"prompt":[{USER}],"chosen":[{GOOD}],"rejected":[{BAD}]}}"#),
        format_args!(r#"{{"messages":[{USER},{GOOD}]}}"#),
        r#"{"question":""}"#,
    );
    let (questions, drops) = with(text, questions).expect("read");
    let told: Vec<_> = questions.iter().map(|q| (q.id.as_str(), q.answers.join(","))).collect();
    assert_eq!(
        told,
        [("7", "4".into()), ("line-2", "four,4".into()), ("line-3", String::new()), ("line-4", "So.".into())]
    );
    assert!(questions.iter().all(|q| short(&q.messages) == "u: Why?"));
    assert_eq!(counts(&drops)["no-prompt"], 1);
}

#[test]
fn a_sealed_bank_is_never_practised_on() {
    let item = r#"{"id":"i","fact":"f","document":"d","kind":"number","question":"?","answers":["4"]"#;
    let read = |rest: &str| with(format!("{item}{rest}}}"), questions);
    for sealed in ["", r#","bank":"exam""#, r#","bank":"control""#] {
        let error = read(sealed).expect_err("sealed").to_string();
        assert!(error.contains("bank") && error.contains("line 1"), "{error}");
    }
    for open in ["practice", "validation"] {
        assert_eq!(read(&format!(r#","bank":"{open}""#)).expect("open").0[0].answers, ["4"]);
    }
}

/// Tables as the writers of data sets make them: texts, and lists of turns three levels deep.
mod table {
    use std::sync::Arc;

    use ::parquet::basic::Compression;
    use ::parquet::data_type::{ByteArray, ByteArrayType};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;

    type Column<'a> = (&'a [&'a str], &'a [i16], &'a [i16]);

    fn write(schema: &str, columns: &[Column<'_>], compression: Compression) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(schema).expect("schema"));
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).expect("writer");
        let mut group = writer.next_row_group().expect("group");
        for (texts, definitions, repetitions) in columns {
            let mut column = group.next_column().expect("column").expect("one more");
            let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
            let levels = |levels: &'_ [i16]| (!levels.is_empty()).then(|| levels.to_vec());
            let (definitions, repetitions) = (levels(definitions), levels(repetitions));
            let typed = column.typed::<ByteArrayType>();
            typed.write_batch(&values, definitions.as_deref(), repetitions.as_deref()).expect("batch");
            column.close().expect("close");
        }
        group.close().expect("close");
        writer.close().expect("close");
        bytes
    }

    const TEXTS: &str =
        "message m { optional binary prompt (UTF8); optional binary chosen (UTF8); optional binary rejected (UTF8); }";

    #[test]
    fn texts_are_read_with_every_compression() {
        let zstd = Compression::ZSTD(Default::default());
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default()), zstd]
        {
            let columns: [Column<'_>; 3] =
                [(&["Why?", "How?"], &[1, 1], &[]), (&["So.", "So."], &[1, 1], &[]), (&["No."], &[1, 0], &[])];
            let data = with(write(TEXTS, &columns, compression), preferences).expect("read");
            assert_eq!(told(&data.records[0]), ["u: Why?", "So.", "No."]);
            assert_eq!(data.records[0].id, "row-1");
            assert_eq!((data.records.len(), data.drops[0].reason.as_str()), (1, "no-answer"));
            assert!(data.drops[0].detail.contains("row 2"), "{}", data.drops[0].detail);
        }
    }

    #[test]
    fn turns_are_read_as_they_are_nested() {
        let list = |name: &str| {
            format!(
                "optional group {name} (LIST) {{ repeated group list {{ optional group element {{ \
                     optional binary role (UTF8); optional binary content (UTF8); }} }} }}"
            )
        };
        let schema = format!("message m {{ {} {} }}", list("chosen"), list("rejected"));
        let (present, again): (&[i16], &[i16]) = (&[4, 4], &[0, 1]);
        let roles: &[&str] = &["user", "assistant"];
        let columns: [Column<'_>; 4] = [
            (roles, present, again),
            (&["Why?", "So."], present, again),
            (roles, present, again),
            (&["Why?", "No."], present, again),
        ];
        let data = with(write(&schema, &columns, Compression::SNAPPY), preferences).expect("read");
        assert_eq!(told(&data.records[0]), ["u: Why?", "So.", "No."]);
    }

    #[test]
    fn a_damaged_table_is_an_error() {
        let columns: [Column<'_>; 3] = [(&["Why?"], &[1], &[]), (&["So."], &[1], &[]), (&["No."], &[1], &[])];
        let whole = write(TEXTS, &columns, Compression::SNAPPY);
        for length in 5..whole.len() {
            assert!(with(&whole[..length], preferences).is_err(), "{length} bytes");
        }
        for at in 4..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 0x55;
            // What still reads is a table with other words in it; nothing may panic.
            let _ = with(&spoilt, preferences);
        }
    }
}

#[test]
fn roles_are_numbered_as_short_expects() {
    assert_eq!([Role::System, Role::User, Role::Assistant].map(|role| role as usize), [0, 1, 2]);
}
