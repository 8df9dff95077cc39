//! What is learned follows the chat template: the published formats of SmolLM2, Qwen2.5 and Llama 3,
//! rendered by templates written here, over a small learned vocabulary with their control tokens; and
//! templates that trim, mark, refuse, or cannot be learned from.

use learn::data::{Data, Either, Format, counts};
use learn::{Error, Inspection, inspect, learnable};
use record::{Message, Sample};
use serde_json::{Value, json};
use weights::{Architecture, Checkpoint, Tokenizer, export_hf};

const CHATML: [&str; 2] = ["<|im_start|>", "<|im_end|>"];
const LLAMA: [&str; 4] = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];

const SMOLLM2: &str = "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant \
    named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{% for turn in messages %}{{ '<|im_start|>' ~ \
    turn.role ~ '\n' ~ turn.content ~ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\n' }}{% endif %}";

const QWEN: &str = "{%- if messages[0]['role'] == 'system' %}\n    {%- set first = messages[0]['content'] %}\n    \
    {%- set rest = messages[1:] %}\n{%- else %}\n    {%- set first = 'You are Qwen, created by Alibaba Cloud. \
    You are a helpful assistant.' %}\n    {%- set rest = messages %}\n{%- endif %}\n{{- '<|im_start|>system\\n' + \
    first + '<|im_end|>\\n' }}\n{%- for turn in rest %}\n    {{- '<|im_start|>' + turn.role + '\\n' + turn.content + \
    '<|im_end|>' + '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n\
    {%- endif %}\n";

const LLAMA3: &str = "{% for turn in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{{ '<|start_header_id|>' \
    + turn['role'] + '<|end_header_id|>\n\n' + turn['content'].strip() + '<|eot_id|>' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

const LLAMA32: &str = "{{- bos_token }}{%- set day = '26 Jul 2024' %}{%- if messages[0].role == 'system' %}\
    {%- set head = messages[0].content | trim %}{%- set messages = messages[1:] %}{%- else %}{%- set head = '' %}\
    {%- endif %}{{- '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday \
    Date: ' ~ day ~ '\n\n' ~ head ~ '<|eot_id|>' }}{%- for turn in messages %}{{- '<|start_header_id|>' ~ turn.role ~ \
    '<|end_header_id|>\n\n' ~ turn.content | trim ~ '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}\
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}";

/// Marks what the model says, as templates do for those who train on them.
const MARKED: &str = "{% for turn in messages %}\n    {%- if turn.role == 'assistant' %}\n<|im_start|>assistant\n\
    {% generation %}\n{{ turn.content }}<|im_end|>{% endgeneration %}\n\n    {%- else %}\n<|im_start|>{{ turn.role }}\n\
    {{ turn.content }}<|im_end|>\n    {%- endif %}\n\n{% endfor %}\n{% if add_generation_prompt %}\n\
    <|im_start|>assistant\n{% endif %}";

const INSTRUCT: &str = "{{ bos_token }}{% for turn in messages %}{% if (turn.role == 'user') != (loop.index0 % 2 == 0) \
    %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
    {% if turn.role == 'user' %}{{ '[INST] ' + turn.content + ' [/INST]' }}{% else %}{{ ' ' + turn.content + eos_token \
    }}{% endif %}{% endfor %}";

/// Digits that stand together in a word, as Qwen and Llama 3 cut text.
const QWEN_DIGITS: &str = r"\p{N}";
const LLAMA_DIGITS: &str = r"\p{N}{1,3}";

/// Cuts text into words as these models do: ends of lines stand together, whatever follows.
fn words(digits: &str) -> Value {
    let regex = format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    let cut = json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({ "type": "Sequence", "pretokenizers": [cut, level] })
}

/// A tokenizer as its model's folder has it; words are cut as GPT-2 does where `digits` is absent.
fn tokenizer(controls: &[&str], template: &str, digits: Option<&str>) -> Tokenizer {
    let texts = ["Why is it so? So.\n\n\nThe assistant says the thing.\n\n\nWhy is it so? So."];
    let learned = Tokenizer::learned(texts.into_iter(), 290).expect("tokenizer");
    let architecture = Architecture { vocab: learned.vocab() + 16, ..Architecture::tiny() };
    let folder = tempfile::tempdir().expect("folder");
    export_hf(&Checkpoint::fresh(architecture, learned, 1).expect("model"), None, folder.path()).expect("export");
    let change = |name: &str, change: &dyn Fn(&mut Value)| {
        let path = folder.path().join(name);
        let mut json: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
        change(&mut json);
        std::fs::write(path, json.to_string()).expect("write");
    };
    change("tokenizer.json", &|json| {
        let next = json["model"]["vocab"].as_object().expect("vocab").len();
        if let Some(digits) = digits {
            json["pre_tokenizer"] = words(digits);
        }
        let added = json["added_tokens"].as_array_mut().expect("added");
        for (at, name) in controls.iter().enumerate() {
            added.push(json!({ "id": next + at, "content": name, "single_word": false, "lstrip": false,
                               "rstrip": false, "normalized": false, "special": true }));
        }
    });
    change("tokenizer_config.json", &|json| {
        json["bos_token"] = json!(controls[0]);
        json["eos_token"] = json!(controls[controls.len() - 1]);
        json["chat_template"] = json!(template);
    });
    Checkpoint::open(folder.path()).expect("opens").tokenizer
}

fn sample(messages: &[Message]) -> Sample {
    let (fact, document, wording) = (String::new(), String::new(), String::new());
    Sample { id: "a".into(), fact, document, messages: messages.to_vec(), wording, citations: Vec::new() }
}

fn seen(tokenizer: &Tokenizer, messages: &[Message]) -> Inspection {
    let records = vec![sample(messages)];
    let data = Data { records, format: Format::Messages, drops: Vec::new(), several: 0 };
    inspect(&Either::Samples(data), tokenizer, 10_000, false, 1)
}

/// Asserts the text of the prompt and of what is learned, and that no control token is text.
fn check(tokenizer: &Tokenizer, messages: &[Message], prompt: &str, learned: &str) {
    let seen = seen(tokenizer, messages);
    assert!(seen.drops.is_empty(), "{:?}", seen.drops);
    let text =
        |is: bool| seen.views[0].tokens.iter().filter(|t| t.learned == is).map(|t| &*t.piece).collect::<String>();
    assert_eq!((text(false).as_str(), text(true).as_str()), (prompt, learned));
    let ids: Vec<u32> = seen.views[0].tokens.iter().map(|t| t.token).collect();
    let asked = tokenizer.render_chat(&messages[..messages.len() - 1]).expect("prompt");
    assert_eq!(ids[..asked.len()], asked, "the exam's prompt");
    assert!(tokenizer.is_control(ids[ids.len() - 1]), "the answer ends its turn");
    assert_eq!(seen.seams, 0, "prompt and answer have the tokens of one text");
}

fn talk() -> Vec<Message> {
    vec![Message::user("Why?"), Message::assistant("So."), Message::user("Is it?"), Message::assistant("The thing.")]
}

#[test]
fn smollm2() {
    let t = tokenizer(&CHATML, SMOLLM2, None);
    let system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n";
    let first = format!("{system}<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n");
    check(&t, &talk()[..2], &first, "So.<|im_end|>");
    let second = format!("{first}So.<|im_end|>\n<|im_start|>user\nIs it?<|im_end|>\n<|im_start|>assistant\n");
    check(&t, &talk(), &second, "The thing.<|im_end|>");
    let own = [&[Message::system("Be brief.")], &talk()[..2]].concat();
    let framed = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n";
    check(&t, &own, framed, "So.<|im_end|>");
    // This template keeps space; a control token's name in a message stays text.
    check(&t, &[Message::user("Why?"), Message::assistant(" So <|im_end|> ")], &first, " So <|im_end|> <|im_end|>");
}

#[test]
fn qwen_2_5() {
    let t = tokenizer(&CHATML, QWEN, Some(QWEN_DIGITS));
    let system = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n";
    let first = format!("{system}<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n");
    check(&t, &talk()[..2], &first, "So.<|im_end|>");
    let second = format!("{first}So.<|im_end|>\n<|im_start|>user\nIs it?<|im_end|>\n<|im_start|>assistant\n");
    check(&t, &talk(), &second, "The thing.<|im_end|>");
    let own = [&[Message::system("Be brief.")], &talk()[..2]].concat();
    let framed = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n";
    check(&t, &own, framed, "So.<|im_end|>");
}

#[test]
fn llama_3() {
    let (open, close) = ("<|start_header_id|>", "<|end_header_id|>\n\n");
    let t = tokenizer(&LLAMA, LLAMA3, Some(LLAMA_DIGITS));
    let first = format!("<|begin_of_text|>{open}user{close}Why?<|eot_id|>{open}assistant{close}");
    check(&t, &talk()[..2], &first, "So.<|eot_id|>");
    let second = format!("{first}So.<|eot_id|>{open}user{close}Is it?<|eot_id|>{open}assistant{close}");
    check(&t, &talk(), &second, "The thing.<|eot_id|>");
    let own = [&[Message::system("Be brief. ")], &talk()[..2]].concat();
    let framed = format!(
        "<|begin_of_text|>{open}system{close}Be brief.<|eot_id|>{open}user{close}Why?<|eot_id|>{open}assistant{close}"
    );
    check(&t, &own, &framed, "So.<|eot_id|>");
    // It trims, so the model learns to say what its own later prompts would hold.
    check(&t, &[Message::user("  Why?\n"), Message::assistant("\n So.  ")], &first, "So.<|eot_id|>");

    let t = tokenizer(&LLAMA, LLAMA32, Some(LLAMA_DIGITS));
    let dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
    let first = format!(
        "<|begin_of_text|>{open}system{close}{dates}<|eot_id|>{open}user{close}Why?<|eot_id|>{open}assistant{close}"
    );
    check(&t, &talk()[..2], &first, "So.<|eot_id|>");
    check(&t, &own, &first.replace("2024\n\n", "2024\n\nBe brief."), "So.<|eot_id|>");
}

#[test]
fn generation_marks_hold_exactly_what_is_learned() {
    let t = tokenizer(&CHATML, MARKED, None);
    let first = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n";
    check(&t, &talk()[..2], first, "So.<|im_end|>");
    let second = format!("{first}So.<|im_end|>\n<|im_start|>user\nIs it?<|im_end|>\n<|im_start|>assistant\n");
    check(&t, &talk(), &second, "The thing.<|im_end|>");
}

#[test]
fn a_template_that_opens_no_turn_but_needs_none_is_fine() {
    let t = tokenizer(&["<s>", "</s>"], INSTRUCT, None);
    check(&t, &talk()[..2], "<s>[INST] Why? [/INST]", " So.</s>");
    check(&t, &talk(), "<s>[INST] Why? [/INST] So.</s>[INST] Is it? [/INST]", " The thing.</s>");
    let own = [&[Message::system("Be brief.")], &talk()[..2]].concat();
    let seen = seen(&t, &own);
    assert_eq!((seen.records, seen.dropped["template"]), (0, 1));
    assert!(seen.drops[0].detail.contains("sample a: ") && seen.drops[0].detail.contains("must alternate"));
}

#[test]
fn an_answer_that_melts_into_the_prompt_is_kept_apart_and_told() {
    let t = tokenizer(&CHATML, SMOLLM2, None);
    let one = |said: &str| [Message::user("Why?"), Message::assistant(said)];
    assert!(
        t.encode("\n\n").len() == 1 && t.encode("\n\n\nSo.").len() < t.encode("\n").len() + t.encode("\n\nSo.").len()
    );
    let seen = seen(&t, &one("\n\nSo."));
    assert_eq!((seen.seams, seen.records), (1, 1));
    let turn = t.render_turn(&one("\n\nSo.")).expect("turn");
    assert_eq!(turn.tokens[..turn.learned_from], t.render_chat(&one("")[..1]).expect("prompt"));
    assert_eq!(turn.tokens[turn.learned_from..turn.tokens.len() - 1], t.encode("\n\nSo."));
}

#[test]
fn templates_that_training_and_generation_would_see_differently_are_refused_by_name() {
    // The open prompt holds what the finished conversation lacks.
    let thinks = SMOLLM2.replace("{{ '<|im_start|>assistant\n' }}", "{{ '<|im_start|>assistant\n<think>\n' }}");
    // The turn is opened only by its answer.
    let closed = SMOLLM2.replace("{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}", "");
    assert!(thinks != SMOLLM2 && closed != SMOLLM2);
    for (template, reason, word) in [
        (thinks, "template-prefix-mismatch", "prefix mismatch"),
        (closed, "template-without-generation-mark", "no generation mark"),
    ] {
        let t = tokenizer(&CHATML, &template, None);
        let seen = seen(&t, &talk());
        assert_eq!((seen.records, seen.tokens, seen.dropped[reason]), (0, 0, 1), "{reason}");
        let error = learnable(vec![sample(&talk())], &t, 1000, false).expect_err("nothing is left");
        assert!(matches!(error, Error::Unlearnable { count: 1, .. }));
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(reason) && text.contains("sample a"), "{text}");
    }
    // What the template adds before each answer is learned: the model will have to say it.
    let empty =
        SMOLLM2.replace("turn.content", "('<think>\n\n</think>\n\n' if turn.role == 'assistant') ~ turn.content");
    let t = tokenizer(&CHATML, &empty, None);
    let prompt = t.render_chat(&talk()[..1]).expect("prompt");
    let turn = t.render_turn(&talk()[..2]).expect("turn");
    assert_eq!(t.decode(&turn.tokens[prompt.len()..]), "<think>\n\n</think>\n\nSo.");
    let (_, drops) = learnable(vec![sample(&talk()), sample(&talk()[..1])], &t, 1000, false).expect("one is left");
    assert_eq!(counts(&drops)["not-learnable"], 1);
}
