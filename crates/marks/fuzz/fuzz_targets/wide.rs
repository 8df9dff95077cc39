#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| -> libfuzzer_sys::Corpus {
    marks_fuzz::read("any.tsv", marks::Format::Wide, data)
});
