//! Whether the verbs that documents and workflows name are there.

use clap::Parser as _;

use crate::Arguments;

const TEXTS: &[(&str, &str)] = &[
    ("README.md", include_str!("../../README.md")),
    ("docs/conformance.md", include_str!("../../docs/conformance.md")),
    ("docs/install.md", include_str!("../../docs/install.md")),
    ("docs/differential.md", include_str!("../../docs/differential.md")),
    ("docs/kernels.md", include_str!("../../docs/kernels.md")),
    ("docs/soak.md", include_str!("../../docs/soak.md")),
    ("docs/performance.md", include_str!("../../docs/performance.md")),
    ("Containerfile", include_str!("../../Containerfile")),
    (".github/workflows/ci.yml", include_str!("../../.github/workflows/ci.yml")),
];

/// The command lines after each `cargo` in a text, as far as they go on one line.
fn command_lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().flat_map(|line| line.split("cargo ").skip(1));
    lines
        .filter(|line| line.starts_with("xtask "))
        .map(|line| line.split(['`', '#', '&', ';', '"', '(']).next().unwrap_or_default())
        .map(|line| line.split_whitespace().map(|word| word.trim_end_matches([',', '.', ':'])))
        .map(Iterator::collect)
}

#[test]
fn verbs_that_are_named_exist() {
    for (file, text) in TEXTS {
        let mut named = 0;
        for words in command_lines(text) {
            // Prose goes on after the verb; options are checked where there are some.
            let given = if words.iter().any(|word| word.starts_with('-')) {
                words.as_slice()
            } else {
                words.get(..2).unwrap_or_default()
            };
            let parsed = Arguments::try_parse_from(given);
            let is_help = |error: &clap::Error| !error.use_stderr();
            assert!(parsed.as_ref().err().is_none_or(is_help), "{file}: cargo {}", given.join(" "));
            named += 1;
        }
        assert!(named > 0, "{file} names no verb");
    }
}
