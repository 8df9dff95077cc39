#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| -> libfuzzer_sys::Corpus {
    marks_fuzz::read("samples_task_2026-01-01T00-00-00.0.jsonl", marks::Format::LmEval, data)
});
